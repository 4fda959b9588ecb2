/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* States, reasons and other words that reach the bus or a file: enum, string table, predicates. */

typedef enum VMState {
        VM_CREATED,
        VM_PREPARING, /* image, network */
        VM_STARTING,  /* the unit starts, QEMU boots */
        VM_RUNNING,
        VM_PAUSED,
        VM_STOPPING,
        VM_STOPPED,
        VM_FAILED,
        VM_STATE_MAX,
        VM_STATE_INVALID = -1,
} VMState;

/* For messages. */
#define VM_STATES "created preparing starting running paused stopping stopped failed"

const char *vm_state_to_string(VMState s);
VMState vm_state_from_string(const char *s);

/* The table of legal moves; a move to the same state is none. */
bool vm_state_may_follow(VMState from, VMState to);

bool vm_state_is_active(VMState s);    /* preparing .. stopping: holds resources */
bool vm_state_has_guest(VMState s);    /* running, paused: QEMU answers */
bool vm_state_is_startable(VMState s); /* created, stopped, failed */

typedef enum ExitReason {
        EXIT_NONE, /* "" */
        EXIT_GUEST_EXIT,
        EXIT_GUEST_SIGNAL,
        EXIT_POWERED_OFF,
        EXIT_KILLED,
        EXIT_CRASHED,
        EXIT_OOM,
        EXIT_LOST,
        EXIT_HOST_REBOOT,
        EXIT_UNHEALTHY,
        EXIT_REASON_MAX,
        EXIT_REASON_INVALID = -1,
} ExitReason;

const char *exit_reason_to_string(ExitReason r);
ExitReason exit_reason_from_string(const char *s);

typedef enum VMHealth {
        HEALTH_NONE, /* nobody asks */
        HEALTH_STARTING,
        HEALTH_HEALTHY,
        HEALTH_UNHEALTHY,
        HEALTH_MAX,
        HEALTH_INVALID = -1,
} VMHealth;

const char *vm_health_to_string(VMHealth h);
VMHealth vm_health_from_string(const char *s);

typedef enum Accelerator {
        ACCELERATOR_AUTO,
        ACCELERATOR_KVM,
        ACCELERATOR_TCG,
        ACCELERATOR_MAX,
        ACCELERATOR_INVALID = -1,
} Accelerator;

const char *accelerator_to_string(Accelerator a);
Accelerator accelerator_from_string(const char *s);

typedef enum JobState {
        JOB_QUEUED,
        JOB_RUNNING,
        JOB_DONE,
        JOB_FAILED,
        JOB_CANCELED,
        JOB_STATE_MAX,
        JOB_STATE_INVALID = -1,
} JobState;

const char *job_state_to_string(JobState s);
JobState job_state_from_string(const char *s);
bool job_state_is_finished(JobState s);
