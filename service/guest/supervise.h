/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/child.h"
#include "guest/port.h"
#include "guest/probes.h"

/* PID 1 while the program runs, and at the end. */

/* Blocks the signals that guest init waits for, and puts it before all others; before the first child. */
void supervise_prepare(void);

/* Reaps, listens to the host and to the power button, probes, and says READY and EXIT. Returns 0 when the program has
 * ended, or why it could not be executed. */
int supervise(struct child *child, int stop_signal, struct port *port, struct probes *probes, struct failure *failure);

/* Ends all processes that are left: SIGTERM, a short grace, SIGKILL. */
void supervise_end_all(void);
