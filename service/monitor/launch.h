/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/health.h"
#include "monitor/seglog.h"
#include "shared/launch-wire.h"
#include "shared/pattern.h"

/* The launch message of a VM, checked; owns its descriptors. */
#define LAUNCH_ARGV_MAX 1024U
#define LAUNCH_ENVIRONMENT_MAX 8U

/* When the VM is ready. */
enum launch_ready {
        READY_BY_MESSAGE, /* the program was executed, says guest init */
        READY_NONE,       /* the CPUs run */
        READY_BY_PROBE,   /* the probe of guest init or mcp-passt was good */
        READY_BY_CONSOLE, /* the pattern was printed */
};

struct launch {
        uint32_t boot;
        char **argv;                                   /* NULL-terminated */
        char *environment[LAUNCH_ENVIRONMENT_MAX + 1]; /* KEY=VALUE, of QEMU's process beside its own; likewise */
        uint64_t log_max, stop_timeout;
        bool guest;     /* a guest init speaks on the guest port */
        bool exit_port; /* argv has isa-debug-exit: QEMU's exit status is the program's */
        bool no_reboot; /* argv makes a reset of the guest end QEMU */
        enum launch_ready ready;
        struct pattern ready_pattern;
        struct health health;   /* its times and retries; HEALTH_NONE where nobody asks, else HEALTH_STARTING */
        bool health_by_console; /* else the probes of guest init or mcp-passt */
        struct pattern health_pattern;
        int log_fds[SEGLOG_SEGMENTS_MAX];
        size_t n_log_fds;
        int qemu_fds[LAUNCH_FDS_MAX];
        size_t n_qemu_fds;
        int exit_fd; /* -1: none given */
        int vars_fd; /* the template of a VM's UEFI variables; -1: none */
        int probes_fd; /* to mcp-passt, which probes the guest (probe-wire.h); -1: it does not */
        int boot_fd; /* the boot message, once it is in the initrd; -1: the guest gets it by fw_cfg */
};

/* Takes fds in any case. -EBADMSG and in *ret_problem what is wrong, a static text. */
int launch_parse(const json_t *message, const int *fds, size_t n_fds, struct launch **ret, const char **ret_problem);

/* Closes what is left and frees. Takes NULL, returns NULL. */
struct launch *launch_free(struct launch *launch);
