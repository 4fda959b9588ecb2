/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the words that reach the bus or a file, and the table of a VM's legal moves. */
#include "model/state.h"

#include <glib.h>
#include <stdint.h>

static int word_find(const char *const *words, int n, const char *s) {
        if (s)
                for (int i = 0; i < n; i++)
                        if (g_str_equal(words[i], s))
                                return i;
        return -1;
}

#define DEFINE_WORDS(Type, name, max, ...)                                                                             \
        static const char *const name##_words[max] = {__VA_ARGS__};                                                    \
        const char *name##_to_string(Type v) {                                                                         \
                return v >= 0 && v < (max) ? name##_words[v] : NULL;                                                   \
        }                                                                                                              \
        Type name##_from_string(const char *s) {                                                                       \
                return (Type) word_find(name##_words, max, s);                                                         \
        }

/* clang-format off */
DEFINE_WORDS(VMState, vm_state, VM_STATE_MAX,
        [VM_CREATED] = "created",
        [VM_PREPARING] = "preparing",
        [VM_STARTING] = "starting",
        [VM_RUNNING] = "running",
        [VM_PAUSED] = "paused",
        [VM_STOPPING] = "stopping",
        [VM_STOPPED] = "stopped",
        [VM_FAILED] = "failed")

DEFINE_WORDS(ExitReason, exit_reason, EXIT_REASON_MAX,
        [EXIT_NONE] = "",
        [EXIT_GUEST_EXIT] = "guest-exit",
        [EXIT_GUEST_SIGNAL] = "guest-signal",
        [EXIT_POWERED_OFF] = "powered-off",
        [EXIT_KILLED] = "killed",
        [EXIT_CRASHED] = "crashed",
        [EXIT_OOM] = "oom",
        [EXIT_LOST] = "lost",
        [EXIT_HOST_REBOOT] = "host-reboot",
        [EXIT_UNHEALTHY] = "unhealthy")

DEFINE_WORDS(VMHealth, vm_health, HEALTH_MAX,
        [HEALTH_NONE] = "none",
        [HEALTH_STARTING] = "starting",
        [HEALTH_HEALTHY] = "healthy",
        [HEALTH_UNHEALTHY] = "unhealthy")

DEFINE_WORDS(Accelerator, accelerator, ACCELERATOR_MAX,
        [ACCELERATOR_AUTO] = "auto",
        [ACCELERATOR_KVM] = "kvm",
        [ACCELERATOR_TCG] = "tcg")

DEFINE_WORDS(JobState, job_state, JOB_STATE_MAX,
        [JOB_QUEUED] = "queued",
        [JOB_RUNNING] = "running",
        [JOB_DONE] = "done",
        [JOB_FAILED] = "failed",
        [JOB_CANCELED] = "canceled")

#define TO(s) (1U << (s))

/* A start that is given up goes straight to stopped; a starting VM may be found paused when its monitor comes back. */
static const uint32_t moves[VM_STATE_MAX] = {
        [VM_CREATED] = TO(VM_PREPARING) | TO(VM_FAILED),
        [VM_PREPARING] = TO(VM_STARTING) | TO(VM_STOPPING) | TO(VM_STOPPED) | TO(VM_FAILED),
        [VM_STARTING] = TO(VM_RUNNING) | TO(VM_PAUSED) | TO(VM_STOPPING) | TO(VM_STOPPED) | TO(VM_FAILED),
        [VM_RUNNING] = TO(VM_PAUSED) | TO(VM_STOPPING) | TO(VM_STOPPED) | TO(VM_FAILED),
        [VM_PAUSED] = TO(VM_RUNNING) | TO(VM_STOPPING) | TO(VM_STOPPED) | TO(VM_FAILED),
        [VM_STOPPING] = TO(VM_STOPPED) | TO(VM_FAILED),
        [VM_STOPPED] = TO(VM_PREPARING),
        [VM_FAILED] = TO(VM_PREPARING),
};
/* clang-format on */

static bool state_is_known(VMState s) {
        return s >= 0 && s < VM_STATE_MAX;
}

bool vm_state_may_follow(VMState from, VMState to) {
        return state_is_known(from) && state_is_known(to) && (moves[from] & TO(to));
}

bool vm_state_is_active(VMState s) {
        return s >= VM_PREPARING && s <= VM_STOPPING;
}

bool vm_state_has_guest(VMState s) {
        return s == VM_RUNNING || s == VM_PAUSED;
}

bool vm_state_is_startable(VMState s) {
        return s == VM_CREATED || s == VM_STOPPED || s == VM_FAILED;
}

bool job_state_is_finished(JobState s) {
        return s == JOB_DONE || s == JOB_FAILED || s == JOB_CANCELED;
}
