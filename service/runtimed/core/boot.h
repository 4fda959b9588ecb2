/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* One boot: accelerator, initrd, network, monitor. Each step pushes its undo; failure and cancel run the same list
 * backwards. It ends, and is gone, when the guest's program runs (where the start waits for it: when it is ready) or
 * with the problem that stopped it. */

#define BOOT_TIMEOUT_TEXT "the guest was not up in time (BootTimeoutSec= in runtime.conf)"

/* The VM is startable; its job is set. */
void boot_start(VM *vm);

/* The VM's unit was started by somebody else; its monitor waits for its orders, and is part of the boot from here on. */
void boot_take_monitor(Boot *b);

/* Runs the undo list and forgets the boot; the VM's state is the caller's. */
void boot_cancel(Boot *b);

/* Forgets the boot and leaves what it began: the daemon ends, the next one finds the VM by its record. */
void boot_forget(Boot *b);

/* Whether its monitor has its orders: from then on the end comes from the monitor. */
bool boot_is_launched(const Boot *b);

/* Whether it has asked for a TAP, and its record does not say so yet. */
bool boot_awaits_port(const Boot *b);

/* The start's job has ended in another way: a stop took over. */
void boot_release_job(Boot *b);

/* What user networking says while it boots. */
void boot_networked(Boot *b);
void boot_network_failed(Boot *b, const Problem *problem);

/* What the monitor says while it boots. */
void boot_running(Boot *b);
void boot_program(Boot *b); /* the program was executed, or the VM is ready */

/* The monitor ended or never came. Finishes the job; the VM's state is the caller's. */
void boot_failed(Boot *b, const Problem *problem);
