/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A VM named web, for the tests that follow one through its life. */
#include "rig.h"

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"
#define PASST "mcp-passt@web.service"

void run_web(Rig *r);

/* Up to the launch message; what the monitor says is the test's. */
FakeHelper *launch_web(Rig *r);

/* Until its start's job is done. */
FakeHelper *ready_web(Rig *r);

void until_state(Rig *r, const char *state);
void assert_startable(Rig *r);

/* The daemon ends by this signal, its helpers lose it, and a new one comes. */
void restart(Rig *r, int sig);
