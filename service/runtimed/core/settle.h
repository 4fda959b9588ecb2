/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/runtime.h"

/* A daemon that comes back takes its name when it knows again what the one before knew: who asks is told the truth from
 * the first call on, and who listened all the time hears nothing that he knows. */

/* How long that may keep callers waiting; a monitor that needs longer is told of when it comes. */
#define SETTLE_USEC (500ULL * 1000ULL)

typedef struct Settle Settle;

/* Calls done once all monitors that are awaited have come back and netd has told of its bridges, or after SETTLE_USEC;
 * at once, in this call, where nobody is awaited (*ret is NULL then). After runtime_load(). */
int settle_wait(Runtime *rt, void (*done)(void *userdata), void *userdata, Settle **ret);
Settle *settle_free(Settle *s);
