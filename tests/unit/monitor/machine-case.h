/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One run of mcp-vm-monitor, between a stand-in daemon and a stand-in QEMU. Upper limits of time are wide: other tests run beside
 * this one. test-ladder has the exact ones. */
#include "fake-daemon.h"
#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/log-line.h"
#include "unit.h"

#define SECOND 1000000ULL
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

struct machine_case {
        struct fake_daemon daemon;
        int log[LOG_SEGMENTS], exit;
        json_int_t id;
};
extern struct machine_case t;

int setup(void **state);
int teardown(void **state);

json_t *launch_message(const char *mode, bool guest);
void launch_with(json_t *message);
void launch(const char *mode, bool guest);
void launch_ready(const char *mode);

/* Boots something whose guest says nothing. */
void launch_silent(const char *mode);

void ask(json_t *message);
void expect_reply(const char *error);
void expect_state(const char *name);
void expect_stopping(bool asked);
void stop(uint64_t timeout);

/* The record on disk is what was said, and names the boot. */
void check_record(const char *reason, int code);
void expect_exit_status(const char *reason, int code, const char *words, int status);
void expect_exit(const char *reason, int code, const char *words);

/* Whether the log holds this text; before long: what comes another way than what the test waited for. */
bool logged(const char *text);
bool logged_soon(const char *text);
