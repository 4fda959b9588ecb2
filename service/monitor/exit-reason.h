/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Why a VM ended, deduced from what was seen of it. Pure. */

enum exit_reason {
        EXIT_REASON_GUEST_EXIT,   /* code: the program's exit status */
        EXIT_REASON_GUEST_SIGNAL, /* code: the signal that ended the program */
        EXIT_REASON_POWERED_OFF,  /* code: 0; 1 when guest init said that it failed */
        EXIT_REASON_KILLED,       /* code: 137 */
        EXIT_REASON_CRASHED,      /* code: QEMU's exit status, or 128 + its signal; 127 when it never ran */
        EXIT_REASON_OOM,          /* code: 137 */
        EXIT_REASON_UNHEALTHY,    /* code: the program's exit status, or 128 + its signal; 137 where it did not end by itself */
        _EXIT_REASON_MAX,
};

/* What the QMP event SHUTDOWN gave as its reason. */
enum shutdown_cause {
        SHUTDOWN_NONE, /* no such event */
        SHUTDOWN_GUEST,
        SHUTDOWN_GUEST_RESET, /* with -no-reboot */
        SHUTDOWN_GUEST_PANIC,
        SHUTDOWN_HOST, /* quit, a signal, the display */
};

struct exit_facts {
        bool not_started; /* QEMU could not be executed, or ended or misbehaved before its CPUs ran */
        bool exit_frame;
        uint32_t how, status; /* of it, see GUEST_EXIT */
        bool guest_error;     /* GUEST_ERROR came, or the guest said that there is no program to run */
        bool exit_port;       /* the machine has isa-debug-exit, for a guest without guest init */
        enum shutdown_cause cause;
        bool asked;   /* we asked the guest to stop */
        bool unhealthy; /* because it was that, and for nobody's wish */
        bool forced;  /* we ended QEMU */
        bool signaled; /* QEMU ended by a signal */
        int qemu_status; /* its exit status, or that signal */
        bool oom_kill;   /* the kernel counted an out-of-memory kill in our group */
};

#define CODE_NOT_STARTED 127

struct exit_verdict {
        enum exit_reason reason;
        int code;
};

const char *exit_reason_to_string(enum exit_reason reason);
enum shutdown_cause shutdown_cause_from_string(const char *s, bool guest);
struct exit_verdict exit_deduce(const struct exit_facts *facts);
