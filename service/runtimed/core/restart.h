/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* Boots that nobody asks for: by the VM's restart policy, and with the host. */

/* A boot has ended. Schedules the next one where the policy says so and nobody asked for the end. True: it will come.
 */
bool restart_consider(VM *vm, ExitReason reason, int code);

/* The same for a boot by policy that could not begin; its delay goes on doubling, however long the boot before lasted.
 */
bool restart_retry(VM *vm);

/* Whether such an end would be followed by another boot. */
bool restart_would_follow(const VM *vm, ExitReason reason, int code);

/* At the daemon's start: the restart that was due to the one before, in what was left of its time. */
void restart_resume(VM *vm);

/* The policy is another one now: what it would not do is not done any more, and an ephemeral VM goes. */
void restart_review(VM *vm);

/* Nothing more by itself. True when one was pending. */
bool restart_cancel(VM *vm);

/* The host was started anew: schedules the VM's start where its policy says so. The caller saves the record. */
void restart_with_host(VM *vm);
