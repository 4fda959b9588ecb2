/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/problem.h"

/* Somebody who waits for one end: called once with problem NULL (done) or what went wrong (borrowed), or never after
 * waiter_cancel(). Lists of them are plain GPtrArrays made by waiters_new(). */
typedef void (*WaiterDone)(const Problem *problem, void *userdata);
typedef struct Waiter Waiter;

GPtrArray *waiters_new(void);
Waiter *waiter_add(GPtrArray *list, WaiterDone done, void *userdata);

/* NULL is fine; returns NULL. Not after the waiter was called. */
Waiter *waiter_cancel(Waiter *w);

/* Calls all that wait now, in their order; the list is empty before the first call. */
void waiters_fire(GPtrArray *list, const Problem *problem);
