/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/runtime.h"

/* The pass that brings the host and the records together: units that nobody runs are stopped, VMs whose unit has gone have
 * ended, bridges and TAPs without a network or VM go, half files go, records that are not on disk as they should be are
 * written. Each repair is a line in the log. It runs at the start, and by hand (Manager.Reconcile). */

/* Called once. */
typedef void (*ReconcileDone)(unsigned repaired, void *userdata);

/* Calls that come while a pass is under way share it. done NULL: nobody waits. at_start: the records were just read, and
 * mcp-netd is asked only where it was used. -EBUSY where too many wait. */
#define RECONCILE_WAITING_MAX 64U
int reconcile(Runtime *rt, bool at_start, ReconcileDone done, void *userdata);

void reconciliation_free(struct Reconciliation *pass);
