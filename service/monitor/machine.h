/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "monitor/child-watch.h"
#include "monitor/console.h"
#include "monitor/display.h"
#include "shared/daemon-link.h"
#include "monitor/exit-reason.h"
#include "monitor/guest.h"
#include "monitor/ladder.h"
#include "monitor/launch.h"
#include "monitor/qmp.h"
#include "monitor/text.h"

/* The VM: joins QEMU, its channels, the ladder and the daemon. machine.c its life, machine-commands.c what the daemon
 * asks of it, machine-stop.c the ladder at work, machine-health.c whether it is ready and healthy, machine-exit.c its
 * end. */

enum machine_state {
        MACHINE_STARTING,
        MACHINE_RUNNING,
        MACHINE_PAUSED,
        MACHINE_STOPPING,
        MACHINE_EXITED,
        _MACHINE_STATE_MAX,
};

struct machine;

/* A command of the daemon that waits for QEMU's answer. */
struct machine_request {
        struct machine *machine; /* NULL: free */
        json_int_t id;
        json_int_t memory_target; /* of a balloon that QEMU is to take; 0: another command */
};

struct machine {
        int *command_fd; /* of the message at work, where it brings one */
        sd_event *event;
        struct launch *launch;
        struct daemon_link *link;
        struct console *console;
        struct qmp *qmp;
        struct display *display;
        struct guest *guest;

        pid_t pid;
        int pidfd;
        int console_end; /* see qemu_block_on_console() */
        uint64_t started; /* microseconds since the epoch: when QEMU was executed */
        uint64_t since;   /* the same by CLOCK_MONOTONIC */
        struct child_watch *child;
        sd_event_source *ladder_timer, *health_timer, *prober, *reset_timer, *farewell, *sigterm, *sigint;

        enum machine_state state;
        bool was_running, told_manager, program, ready, cpus_stopped;
        uint64_t ready_search, health_search; /* of the patterns, see pattern_search() */
        uint8_t probe_round;                  /* of mcp-passt's probes, see probe-wire.h */
        bool guest_hello, guest_told;         /* guest init reports; it was told to stop */
        bool asked_gently;                    /* the ladder began at the guest, not at QEMU's end */
        bool stop_requested;                  /* the end is somebody's wish */
        bool firmware_runs;                   /* after a reset by request, see machine_reset_settled() */
        unsigned guest_errors;
        char guest_error[TEXT_MAX + 1]; /* its first error */

        json_int_t memory_target, memory_actual; /* bytes; 0: as it was started */

        struct ladder ladder;
        struct machine_request requests[QMP_PENDING_MAX];

        struct exit_facts facts;
        int64_t oom_before;
        char failure[2 * TEXT_MAX]; /* why QEMU could not be started */
        json_t *exit;               /* what "exited" says, once it has ended */
        bool exit_told;
};

const char *machine_state_to_string(enum machine_state state);

/* launch and link_fd are taken, also on failure. Executes QEMU; when that fails the machine has exited at once and says
 * so as any other. */
int machine_new(sd_event *event, struct launch *launch, int link_fd, struct machine **ret);

/* What "exited" says of a VM whose monitor could not get as far as QEMU; text says where, launch (NULL: none yet) has the record that is
 * written. Also in the journal. */
json_t *exit_not_started(const struct launch *launch, int error, const char *text);

struct machine *machine_free(struct machine *machine);

/* For the parts of the machine: */
void machine_set_state(struct machine *machine, enum machine_state state);
void machine_display_done(void *userdata, json_int_t id, int error, const char *text);
int machine_handle(struct machine *machine, const json_t *message, int *fds, size_t n_fds);
void machine_stop(struct machine *machine, uint64_t timeout);
int machine_health_init(struct machine *machine);
void machine_program_runs(struct machine *machine);
void machine_set_ready(struct machine *machine);
void machine_probed(struct machine *machine, enum guest_probe which, bool good);
void machine_health_paused(struct machine *machine, bool paused);
void machine_health_reset(struct machine *machine);
void machine_health_ended(struct machine *machine);
json_t *machine_memory(const struct machine *machine);
void machine_reset_settled(struct machine *machine);
void machine_notify_status(struct machine *machine);
void machine_stop_guest_arrived(struct machine *machine);
int machine_stop_init(struct machine *machine);
void machine_ended(struct machine *machine, const siginfo_t *info);
void machine_finish(struct machine *machine);
json_t *machine_hello(struct machine *machine);
void machine_link_closed(struct machine *machine);
void machine_leave(struct machine *machine);
