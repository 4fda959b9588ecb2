/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the life of one VM from the execution of QEMU on, and the one place where its state changes. */
#include "monitor/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "monitor/oom.h"
#include "monitor/qemu.h"
#include "shared/crash-point.h"
#include "shared/fd.h"

/* A guest that reports errors all the time is no longer listened to. */
#define GUEST_ERRORS_MAX 8U

static const char *const state_table[_MACHINE_STATE_MAX] = {
        [MACHINE_STARTING] = "starting",
        [MACHINE_RUNNING] = "running",
        [MACHINE_PAUSED] = "paused",
        [MACHINE_STOPPING] = "stopping",
        [MACHINE_EXITED] = "exited",
};

const char *machine_state_to_string(enum machine_state state) {
        return state >= 0 && state < _MACHINE_STATE_MAX ? state_table[state] : NULL;
}

void machine_notify_status(struct machine *m) {
        /* A first word that was not taken would be a start that never ends. */
        bool first = m->was_running && !m->told_manager;
        int r = sd_notifyf(0, "%sSTATUS=%s%s, boot %" PRIu32 ", QEMU is process %d", first ? "READY=1\n" : "",
                m->state == MACHINE_RUNNING && m->ready ? "Ready and " : "", machine_state_to_string(m->state),
                m->launch->boot, (int) m->pid);

        if (r >= 0)
                m->told_manager = m->was_running;
}

void machine_set_state(struct machine *m, enum machine_state state) {
        if (state == m->state)
                return;
        m->state = state;
        if (state == MACHINE_EXITED)
                return;
        /* Its first run is told by "running", with the process. */
        if (state == MACHINE_RUNNING && !m->was_running) {
                m->was_running = true;
                CRASH_POINT(MONITOR_RUNNING);
                daemon_link_send(m->link, json_pack("{s:s, s:i, s:I, s:I}", "type", "running", "pid", (int) m->pid,
                                                  "started", (json_int_t) m->started, "since", (json_int_t) m->since));
        } else
                daemon_link_send(
                        m->link, json_pack("{s:s, s:s, s:b}", "type", "state", "state", machine_state_to_string(state),
                                         "asked", (int) ladder_is_active(&m->ladder)));
        machine_notify_status(m);
}

/* What QEMU says of its CPUs counts as long as nobody is ending the VM. */
static void update_cpus(struct machine *m, bool stopped) {
        m->cpus_stopped = stopped;
        if (m->state == MACHINE_STOPPING || m->state == MACHINE_EXITED)
                return;
        if (stopped && !m->was_running)
                return;
        machine_set_state(m, stopped ? MACHINE_PAUSED : MACHINE_RUNNING);
        machine_health_paused(m, stopped);
        if (!stopped && !m->launch->guest)
                machine_program_runs(m);
        if (!stopped && m->launch->ready == READY_NONE)
                machine_set_ready(m);
}

static void on_cont(void *userdata, int error, const char *text, const json_t *value) {
        struct machine *m = userdata;

        if (error < 0)
                console_say(m->console, "QEMU does not start its CPUs: %s", text);
        else
                update_cpus(m, false);
}

static void on_first_status(void *userdata, int error, const char *text, const json_t *value) {
        struct machine *m = userdata;

        if (error >= 0 && json_is_true(json_object_get(value, "running")))
                update_cpus(m, false);
        else
                (void) qmp_execute(m->qmp, "cont", NULL, on_cont, m);
}

static void on_qmp_ready(void *userdata) {
        struct machine *m = userdata;

        qemu_block_on_console(&m->console_end);
        (void) qmp_execute(m->qmp, "query-status", NULL, on_first_status, m);
}

/* A reset begins the guest anew: what it said before is over. */
static void on_reset(struct machine *m, const json_t *data) {
        if (!json_is_true(json_object_get(data, "guest")))
                m->firmware_runs = true;
        console_say(m->console, "the guest was reset");
        guest_reset(m->guest);
        m->guest_hello = m->guest_told = false;
        m->facts.exit_frame = m->facts.guest_error = false;
        m->guest_error[0] = 0;
        machine_health_reset(m);
}

static void on_shutdown(struct machine *m, const json_t *data) {
        const char *reason = json_string_value(json_object_get(data, "reason"));
        char clean[TEXT_MAX + 1];

        if (m->facts.cause != SHUTDOWN_NONE)
                return;
        /* What the guest said before it went comes first, though it came another way. */
        guest_drain(m->guest);
        m->facts.cause = shutdown_cause_from_string(reason, json_is_true(json_object_get(data, "guest")));
        console_say(m->console, "QEMU shuts down: %s",
                text_clean(clean, reason ? reason : "", reason ? strlen(reason) : 0));
        if (m->state != MACHINE_EXITED)
                machine_set_state(m, MACHINE_STOPPING);
}

/* QEMU says it once a second at most. */
static void on_balloon(struct machine *m, const json_t *data) {
        json_int_t actual = json_integer_value(json_object_get(data, "actual"));

        if (actual <= 0 || m->state == MACHINE_EXITED)
                return;
        m->memory_actual = actual;
        daemon_link_send(m->link, json_pack("{s:s, s:I}", "type", "memory", "actual", actual));
}

static void on_qmp_event(void *userdata, const char *name, const json_t *data) {
        struct machine *m = userdata;

        if (strcmp(name, "SHUTDOWN") == 0)
                on_shutdown(m, data);
        else if (strcmp(name, "STOP") == 0)
                update_cpus(m, true);
        else if (strcmp(name, "RESUME") == 0)
                update_cpus(m, false);
        else if (strcmp(name, "RESET") == 0)
                on_reset(m, data);
        else if (strcmp(name, "BALLOON_CHANGE") == 0)
                on_balloon(m, data);
        else if (strcmp(name, "POWERDOWN") == 0)
                console_say(m->console, "the power button was pressed");
}

static void on_qmp_gone(void *userdata, int error) {
        struct machine *m = userdata;

        if (m->state == MACHINE_EXITED || m->facts.cause != SHUTDOWN_NONE)
                return;
        if (error == -ETIMEDOUT)
                console_say(m->console, "QEMU did not answer on its control socket in time");
        else
                console_say(m->console, "QEMU's control connection ended: %s", strerror(-error));
        /* One that closed it before it ran is ending already, and its own words say more than ours. */
        if (m->was_running || ladder_is_active(&m->ladder) || error == -ECONNRESET)
                return;
        (void) snprintf(m->failure, sizeof m->failure, "QEMU %s on its control socket",
                error == -ETIMEDOUT ? "did not answer in time" : "spoke no QMP");
        m->facts.not_started = true;
        machine_stop(m, 0);
}

static void on_guest_error(struct machine *m, const struct frame *frame) {
        char text[TEXT_MAX + 1];

        if (m->guest_errors++ >= GUEST_ERRORS_MAX)
                return;
        text_clean(text, frame->text, frame->text_len);
        if (!m->facts.guest_error)
                memcpy(m->guest_error, text, sizeof text);
        m->facts.guest_error = true;
        console_say(m->console, "guest init: %s", text);
        daemon_link_send(m->link, json_pack("{s:s, s:s}", "type", "guest-error", "message", text));
}

static void on_guest_frame(void *userdata, const struct frame *frame) {
        struct machine *m = userdata;

        switch (frame->type) {
        case GUEST_HELLO:
                if (m->guest_hello)
                        break;
                m->guest_hello = true;
                if (m->firmware_runs)
                        machine_reset_settled(m);
                machine_stop_guest_arrived(m);
                break;
        case GUEST_READY:
                machine_program_runs(m);
                if (m->launch->ready == READY_BY_MESSAGE)
                        machine_set_ready(m);
                break;
        case GUEST_PROBE:
                machine_probed(m, frame->probe, frame->good);
                break;
        case GUEST_EXIT:
                if (m->facts.exit_frame)
                        break;
                m->facts.exit_frame = true;
                m->facts.how = frame->how;
                m->facts.status = frame->status;
                console_say(m->console, "the program ended: %s %" PRIu32, frame->how == 0 ? "exit status" : "signal",
                        frame->status);
                break;
        case GUEST_ERROR:
                on_guest_error(m, frame);
                break;
        default:
                break;
        }
}

static void on_guest_gone(void *userdata, int error) {
        struct machine *m = userdata;

        m->guest_hello = false;
        if (m->state != MACHINE_EXITED && m->facts.cause == SHUTDOWN_NONE)
                console_say(m->console, "the guest port is closed: %s",
                        error == -EBADMSG ? "the guest sent what is no message of guest init" : strerror(-error));
}

static void on_child(void *userdata, const siginfo_t *info) {
        machine_ended(userdata, info);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct machine *m = userdata;
        uint64_t needed;

        if (m->state == MACHINE_EXITED)
                return 0;
        console_say(m->console, "the service manager asks for the end");
        m->stop_requested = true;
        machine_stop(m, m->launch->stop_timeout);
        /* The unit's own time limit may be shorter than that of the VM. */
        needed = m->ladder.end - now_monotonic() + 2 * MONITOR_FAREWELL_USEC;
        (void) sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64, needed);
        return 0;
}

static int on_message(void *userdata, const json_t *message, int *fds, size_t n_fds) {
        return machine_handle(userdata, message, fds, n_fds);
}

static json_t *on_hello(void *userdata) {
        return machine_hello(userdata);
}

static void on_closed(void *userdata) {
        machine_link_closed(userdata);
}

static const struct qmp_ops qmp_ops = {.ready = on_qmp_ready, .event = on_qmp_event, .gone = on_qmp_gone};
static const struct guest_ops guest_ops = {.frame = on_guest_frame, .gone = on_guest_gone};
static const struct daemon_link_ops link_ops = {.hello = on_hello, .message = on_message, .closed = on_closed};

static int attach(struct machine *m, struct qemu_channels *channels) {
        int r, q;

        m->console_end = take_fd(&channels->console_end);
        r = console_attach(m->console, channels);
        q = qmp_new(m->event, channels->qmp, &qmp_ops, m, &m->qmp);
        if (r >= 0)
                r = q;
        q = guest_new(m->event, channels->guest, &guest_ops, m, &m->guest);
        if (r >= 0)
                r = q;
        if (r >= 0)
                r = child_watch_new(m->event, m->pidfd, on_child, m, &m->child);
        if (r < 0) {
                (void) pidfd_kill(m->pidfd, SIGKILL);
                (void) waitid(P_PIDFD, (id_t) m->pidfd, &(siginfo_t){}, WEXITED);
        }
        return r;
}

static int start(struct machine *m) {
        struct qemu_channels channels;
        const char *stage;
        int r;

        m->oom_before = oom_kill_count();
        m->started = now_realtime();
        m->since = now_monotonic();
        r = qemu_spawn(m->launch->argv, m->launch->environment, m->launch->qemu_fds, m->launch->n_qemu_fds, &channels,
                &m->pid, &m->pidfd, &stage);
        /* QEMU has its own copies now; the last one of a TAP must be QEMU's. */
        for (size_t i = 0; i < m->launch->n_qemu_fds; i++)
                m->launch->qemu_fds[i] = close_fd(m->launch->qemu_fds[i]);
        if (r < 0) {
                m->facts.not_started = true;
                (void) snprintf(
                        m->failure, sizeof m->failure, "%.400s: %s: %s", m->launch->argv[0], stage, strerror(-r));
                console_say(m->console, "%s", m->failure);
                machine_finish(m);
                return 0;
        }
        console_say(m->console, "boot %" PRIu32 ": QEMU started, process %d", m->launch->boot, (int) m->pid);
        CRASH_POINT(MONITOR_SPAWNED);
        machine_notify_status(m);
        return attach(m, &channels);
}

int machine_new(sd_event *event, struct launch *launch, int link_fd, struct machine **ret) {
        struct machine *m = calloc(1, sizeof *m);
        struct seglog *log = NULL;
        int r;

        if (!m) {
                launch_free(launch);
                (void) close_fd(link_fd);
                return -ENOMEM;
        }
        m->event = sd_event_ref(event);
        m->launch = launch;
        m->pidfd = m->console_end = -1;

        r = daemon_link_new(event, link_fd, &link_ops, m, &m->link);
        if (r >= 0) {
                r = seglog_new(launch->log_fds, launch->n_log_fds, launch->log_max, launch->boot, &log);
                launch->n_log_fds = 0;
        }
        if (r >= 0)
                r = console_new(event, log, launch->guest, &m->console);
        if (r >= 0)
                r = display_new(machine_display_done, m, &m->display);
        if (r >= 0)
                r = machine_stop_init(m);
        if (r >= 0)
                r = machine_health_init(m);
        if (r >= 0)
                r = sd_event_add_signal(event, &m->sigterm, SIGTERM, on_signal, m);
        if (r >= 0)
                r = sd_event_add_signal(event, &m->sigint, SIGINT, on_signal, m);
        if (r >= 0)
                r = start(m);
        if (r < 0) {
                daemon_link_send(m->link, exit_not_started(launch, r, "what it watches the VM with could not be made"));
                machine_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

struct machine *machine_free(struct machine *m) {
        if (!m)
                return NULL;
        child_watch_free(m->child);
        sd_event_source_disable_unref(m->ladder_timer);
        sd_event_source_disable_unref(m->health_timer);
        sd_event_source_disable_unref(m->prober);
        sd_event_source_disable_unref(m->reset_timer);
        sd_event_source_disable_unref(m->farewell);
        sd_event_source_disable_unref(m->sigterm);
        sd_event_source_disable_unref(m->sigint);
        qmp_free(m->qmp);
        display_free(m->display);
        guest_free(m->guest);
        console_free(m->console);
        daemon_link_free(m->link);
        launch_free(m->launch);
        (void) close_fd(m->pidfd);
        (void) close_fd(m->console_end);
        json_decref(m->exit);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}
