/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* A running VM's memory: its balloon. The target is what was asked for, the actual size what its guest has given way
 * to. */

/* From SPEC_MEMORY_MIN to the VM's MemoryMiB; for this boot. VMNotRunning, InvalidSpec, Busy at once. */
int memory_set(VM *vm, uint64_t bytes, VMDone done, void *userdata, Problem **ret_problem);

/* The VM runs with all of its memory; it has ended. */
void memory_begin(VM *vm);
void memory_end(VM *vm);

/* What the monitor says of the guest's size, untrusted. */
void memory_is(VM *vm, json_t *message);
