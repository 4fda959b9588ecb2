/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the rules by which the end of a VM gets its name. */
#include "monitor/exit-reason.h"

#include <signal.h>
#include <string.h>

#define CODE_KILLED (128 + SIGKILL)

static const char *const reason_table[_EXIT_REASON_MAX] = {
        [EXIT_REASON_GUEST_EXIT] = "guest-exit",
        [EXIT_REASON_GUEST_SIGNAL] = "guest-signal",
        [EXIT_REASON_POWERED_OFF] = "powered-off",
        [EXIT_REASON_KILLED] = "killed",
        [EXIT_REASON_CRASHED] = "crashed",
        [EXIT_REASON_OOM] = "oom",
        [EXIT_REASON_UNHEALTHY] = "unhealthy",
};

const char *exit_reason_to_string(enum exit_reason reason) {
        return reason >= 0 && reason < _EXIT_REASON_MAX ? reason_table[reason] : NULL;
}

enum shutdown_cause shutdown_cause_from_string(const char *s, bool guest) {
        if (s && strcmp(s, "guest-reset") == 0)
                return SHUTDOWN_GUEST_RESET;
        if (s && strcmp(s, "guest-panic") == 0)
                return SHUTDOWN_GUEST_PANIC;
        return guest ? SHUTDOWN_GUEST : SHUTDOWN_HOST;
}

/* QEMU itself ended well: was it the guest's wish, or someone's on this side? */
static struct exit_verdict deduce_orderly(const struct exit_facts *f) {
        switch (f->cause) {
        case SHUTDOWN_GUEST_PANIC:
                return (struct exit_verdict) {EXIT_REASON_CRASHED, 1};
        case SHUTDOWN_GUEST_RESET:
                /* Linux restarts the machine after a panic (panic=-1), and nobody asked it to restart. */
                if (!f->asked && !f->guest_error)
                        return (struct exit_verdict) {EXIT_REASON_CRASHED, 1};
                break;
        case SHUTDOWN_HOST:
                return (struct exit_verdict) {EXIT_REASON_KILLED, CODE_KILLED};
        case SHUTDOWN_NONE:
                if (f->forced)
                        return (struct exit_verdict) {EXIT_REASON_KILLED, CODE_KILLED};
                break;
        case SHUTDOWN_GUEST:
                break;
        }
        return (struct exit_verdict) {EXIT_REASON_POWERED_OFF, f->guest_error ? 1 : 0};
}

/* QEMU's own code, where it had one before we ended it. */
static int code_of_start(const struct exit_facts *f) {
        if (f->qemu_status == 0 || f->forced)
                return CODE_NOT_STARTED;
        return f->signaled ? 128 + f->qemu_status : f->qemu_status;
}

/* A program that was told to stop may well end with 0: that it had to be told is what counts. */
static struct exit_verdict deduce_unhealthy(const struct exit_facts *f) {
        if (!f->exit_frame)
                return (struct exit_verdict) {EXIT_REASON_UNHEALTHY, CODE_KILLED};
        return (struct exit_verdict) {EXIT_REASON_UNHEALTHY, (int) (f->how == 0 ? f->status : 128 + f->status)};
}

struct exit_verdict exit_deduce(const struct exit_facts *f) {
        if (f->not_started)
                return (struct exit_verdict) {EXIT_REASON_CRASHED, code_of_start(f)};
        if (f->unhealthy)
                return deduce_unhealthy(f);
        /* The program's own end is the truth, however the machine around it went down. */
        if (f->exit_frame)
                return (struct exit_verdict) {
                        f->how == 0 ? EXIT_REASON_GUEST_EXIT : EXIT_REASON_GUEST_SIGNAL, (int) f->status};
        /* The guest wrote its program's code, and QEMU ended with (code << 1) | 1; its exit status has 8 bits. */
        if (f->exit_port && !f->signaled && (f->qemu_status & 1) && !f->guest_error)
                return (struct exit_verdict) {EXIT_REASON_GUEST_EXIT, f->qemu_status >> 1};
        if (f->signaled) {
                /* A guest that went down before is not killed by what QEMU then needed. */
                if (f->forced)
                        return deduce_orderly(f);
                if (f->qemu_status == SIGKILL && f->oom_kill)
                        return (struct exit_verdict) {EXIT_REASON_OOM, CODE_KILLED};
                return (struct exit_verdict) {EXIT_REASON_CRASHED, 128 + f->qemu_status};
        }
        if (f->qemu_status != 0)
                return (struct exit_verdict) {EXIT_REASON_CRASHED, f->qemu_status};
        return deduce_orderly(f);
}
