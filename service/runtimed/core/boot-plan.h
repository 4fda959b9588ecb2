/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"
#include "qemu/argv.h"
#include "qemu/profile-table.h"

/* From a VM's spec to what its programs are told; no step of a boot, and no side effect but reading the host's
 * resolver. */

/* Fills plan; *mac is the caller's and borrowed by it. */
void boot_plan(Runtime *rt, const char *name, const char *uuid, const VMSpec *spec, Accelerator accelerator,
        QEMUPlan *plan, char **mac);

/* ToolMissing where the spec needs a program of the host that is not there. */
int boot_check_tools(Runtime *rt, uint32_t owner, const VMSpec *spec, Problem **ret_problem);

/* Whether KVM is a choice: it runs the host's own architecture only, and not every profile has it. */
bool boot_may_use_kvm(const VMSpec *spec);

/* Whether nothing else is. */
bool boot_must_use_kvm(const VMSpec *spec);

/* The profile of a boot with that accelerator: the spec's, or the one that fits. */
ProfileId boot_profile(const VMSpec *spec, Accelerator accelerator);

/* InvalidSpec where Profile, Architecture and Accelerator do not go together, NotSupported for what the architecture's
 * machine cannot do. */
int boot_check_machine(const VMSpec *spec, Problem **ret_problem);

/* Whether the VM is a machine with UEFI. */
bool boot_has_uefi(const VMSpec *spec);

/* KERNEL_* that the spec's guest needs. */
unsigned boot_kernel_needs(const VMSpec *spec);

/* Queues of a VM's NIC on a bridge: one a CPU. */
uint16_t boot_queues(const VMSpec *spec);

/* Launch messages, without their descriptors; new references. */
/* "environment" of the launch message. */
json_t *boot_qemu_environment(const QEMUPlan *plan);
json_t *boot_launch_message(VM *vm, char **argv);
json_t *boot_tpm_message(Runtime *rt);

/* The sealed memfd with the guest's boot message. Returns the descriptor, or a negative errno with a problem. */
int boot_message_memfd(Runtime *rt, VM *vm, Problem **ret_problem);
