/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* What one uid may hold (QuotaExceeded, with the numbers; root is counted, not limited) and what the host can carry
 * (NoSpace). */

/* One more VM. */
int quota_check_vm(Runtime *rt, uint32_t owner, Problem **ret_problem);

/* A spec's size, as JSON without blanks. */
int quota_check_spec(Runtime *rt, uint32_t owner, const VMSpec *spec, Problem **ret_problem);

/* One more job. */
int quota_check_job(Runtime *rt, uint32_t owner, Problem **ret_problem);

/* This VM running too: running VMs, their memory and CPUs per owner; the memory of all running VMs against the host's.
 */
int quota_check_start(const VM *vm, Problem **ret_problem);

/* One more image, beside those that are stored. */
int quota_check_image(Runtime *rt, uint32_t owner, Problem **ret_problem);

/* How many bytes of images the owner may still make: what running imports may come to counts as if it were there. */
uint64_t quota_image_bytes(Runtime *rt, uint32_t owner);

/* Whether one more import may begin beside those that run; alone it finds out how far it comes. */
bool quota_has_image_room(Runtime *rt, uint32_t owner);

/* How many bytes of volumes and disks the owner may still have; QuotaExceeded where it is none. */
int quota_storage(const VM *vm, uint64_t *ret_bytes, Problem **ret_problem);
