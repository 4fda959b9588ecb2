/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* Boots that nobody asks for: by the VM's restart policy, and with the host. */

/* A boot has ended, or could not begin. Schedules the next one where the policy says so and nobody asked for the end.
 * True: it will come. */
bool restart_consider(VM *vm, ExitReason reason, int code);

/* Whether such an end would be followed by another boot. */
bool restart_would_follow(const VM *vm, ExitReason reason, int code);

/* Nothing more by itself. True when one was pending. */
bool restart_cancel(VM *vm);

/* The host was started anew: starts the VM where its policy says so. */
void restart_with_host(VM *vm);
