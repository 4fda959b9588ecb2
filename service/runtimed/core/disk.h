/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* Persistent disks: of one owner, by name; each is named by at most one VM. A disk is made when a VM that names it is first
 * started, and goes with that VM unless it is kept. */

/* The VM that names it, or NULL: a kept one. */
VM *disk_user(Runtime *rt, uint32_t owner, const char *name);

/* Whether a spec of that owner may have its disks: DiskInUse, InvalidSpec (size), QuotaExceeded. self: the VM that is to get
 * the spec, NULL for a new one. */
int disks_check(Runtime *rt, uint32_t owner, const VMSpec *spec, const VM *self, Problem **ret_problem);

/* Bytes that count as the owner's: of all disks, and of those that VMs name and that are not made yet. */
uint64_t disks_bytes(Runtime *rt, uint32_t owner);

/* Bytes of disks that the VM names and that are not made yet. */
uint64_t disks_planned(const VM *vm);

/* Calls each for every disk of the owner. */
void disks_each(Runtime *rt, uint32_t owner, StoreDiskFound each, void *userdata);

/* Those of a VM that goes. */
void disks_remove_of(VM *vm);

/* A kept one. NoSuchDisk, DiskInUse. */
int disk_remove(Runtime *rt, uint32_t owner, const char *name, Problem **ret_problem);
