/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the end of a VM: what is left in the channels, the reason, the record on disk, the last word to the daemon. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "monitor/machine.h"
#include "monitor/oom.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/log.h"
#include "shared/signal-names.h"

/* What is said of a crash, with the last words of whom it concerns. */
static void describe_crash(const struct machine *m, char *buf, size_t size) {
        const struct exit_facts *f = &m->facts;
        char words[TEXT_MAX + 1], what[64];
        const char *name;

        if (m->failure[0]) {
                (void) snprintf(buf, size, "%s", m->failure);
                return;
        }
        if (!f->signaled && f->qemu_status == 0 && !f->not_started) {
                console_last_guest_words(m->console, words);
                (void) snprintf(what,
                        sizeof what,
                        "%s",
                        f->cause == SHUTDOWN_GUEST_PANIC ? "the guest panicked" : "the guest reset itself");
        } else {
                console_last_words(m->console, words);
                name = f->signaled ? signal_to_name(f->qemu_status) : NULL;
                if (f->signaled)
                        (void) snprintf(what, sizeof what, "QEMU was ended by signal %d %s", f->qemu_status, name ? name : "");
                else
                        (void) snprintf(what, sizeof what, "QEMU ended with status %d%s", f->qemu_status, f->not_started ? " before it ran" : "");
        }
        (void) snprintf(buf, size, "%s%s%s", what, words[0] ? ": " : "", words);
}

static void describe(const struct machine *m, enum exit_reason reason, char *buf, size_t size) {
        buf[0] = 0;
        switch (reason) {
        case EXIT_REASON_CRASHED:
                describe_crash(m, buf, size);
                break;
        case EXIT_REASON_KILLED:
                (void) snprintf(buf,
                        size,
                        "%s",
                        m->asked_gently ? "the guest did not stop in its time" : "QEMU was ended at once");
                break;
        case EXIT_REASON_UNHEALTHY:
                (void) snprintf(buf, size, "the guest was ended because it was unhealthy");
                break;
        case EXIT_REASON_OOM:
                (void) snprintf(buf, size, "the kernel killed QEMU because memory ran out in its unit");
                break;
        default:
                if (m->facts.guest_error)
                        (void) snprintf(buf, size, "%s", m->guest_error);
        }
}

static void make_exit(struct machine *m) {
        struct exit_verdict verdict = exit_deduce(&m->facts);
        char text[4 * TEXT_MAX], message[2 * TEXT_MAX];

        describe(m, verdict.reason, text, sizeof text);
        /* The longest way of words may end in half a character. */
        text[text_cut(text, strlen(text) < sizeof message ? strlen(text) : sizeof message - 1)] = 0;
        memcpy(message, text, strlen(text) + 1);
        m->exit = json_pack("{s:s, s:s, s:i, s:I, s:I}", "type", "exited", "reason",
                exit_reason_to_string(verdict.reason), "code", verdict.code, "at", (json_int_t) now_realtime(), "ran",
                (json_int_t) (now_monotonic() - m->since));
        (void) json_object_set_new(m->exit, "asked", json_boolean(m->facts.asked && !m->facts.unhealthy));
        if (message[0])
                (void) json_object_set_new(m->exit, "message", json_string(message));
        console_say(m->console,
                "end: %s, code %d%s%s",
                exit_reason_to_string(verdict.reason),
                verdict.code,
                message[0] ? ": " : "",
                message);
}

static int write_record(const struct launch *l, json_t *exit) {
        json_t *record = json_copy(exit);
        char *text;
        size_t len;
        ssize_t n;
        int r = 0;

        (void) json_object_set_new(record, "boot", json_integer(l->boot));
        text = json_dumps(record, JSON_COMPACT);
        json_decref(record);
        if (!text)
                return -ENOMEM;
        len = strlen(text);
        text[len] = '\n'; /* in place of the NUL */
        n = pwrite(l->exit_fd, text, len + 1, 0);
        if (n < 0)
                r = -errno;
        else if ((size_t) n != len + 1)
                r = -EIO;
        free(text);
        return r;
}

json_t *exit_not_started(const struct launch *l, int error, const char *text) {
        char message[TEXT_MAX];
        json_t *exit;
        int r = 0;

        (void) snprintf(message, sizeof message, "its monitor could not start it: %s: %s", text, strerror(-error));
        log_error("%s", message);
        exit = json_pack("{s:s, s:s, s:i, s:I, s:b, s:s}", "type", "exited", "reason",
                exit_reason_to_string(EXIT_REASON_CRASHED), "code", CODE_NOT_STARTED, "at", (json_int_t) now_realtime(),
                "asked", 0, "message", message);
        if (exit && l && l->exit_fd >= 0)
                r = write_record(l, exit);
        if (r < 0)
                log_warning("the exit record could not be written: %s", strerror(-r));
        return exit;
}

static int on_farewell(sd_event_source *source, uint64_t usec, void *userdata) {
        machine_leave(userdata);
        return 0;
}

/* 0 for every end that the VM came to by itself or by us, else QEMU never ran. */
void machine_leave(struct machine *m) {
        bool started = m->was_running || !m->facts.not_started;

        (void) sd_event_exit(m->event, started ? EXIT_SUCCESS : EXIT_FAILURE);
}

void machine_finish(struct machine *m) {
        bool heard, recorded;
        int r;

        machine_set_state(m, MACHINE_EXITED);
        (void) sd_event_source_set_enabled(m->ladder_timer, SD_EVENT_OFF);
        m->reset_timer = sd_event_source_disable_unref(m->reset_timer);
        machine_health_ended(m);
        qmp_drain(m->qmp);
        guest_drain(m->guest);
        console_drain(m->console);
        make_exit(m);
        CRASH_POINT(MONITOR_ENDED);
        r = m->launch->exit_fd >= 0 ? write_record(m->launch, m->exit) : 0;
        recorded = r >= 0;
        CRASH_POINT(MONITOR_RECORDED);
        if (r < 0) {
                log_warning(
                        "the exit record could not be written, a restart of mcp-runtimed would not know this end: %s",
                        strerror(-r));
                console_say(m->console, "the exit record could not be written: %s", strerror(-r));
        }
        (void) sd_notifyf(0, "STATUS=Ended: %s", json_string_value(json_object_get(m->exit, "reason")));

        r = sd_event_add_time_relative(
                m->event, &m->farewell, CLOCK_MONOTONIC, MONITOR_FAREWELL_USEC, 10000, on_farewell, m);
        /* Heard already: the rest is the daemon's. Else the farewell time begins, and a goodbye or the end of the
         * connection shortens it. */
        heard = daemon_link_is_heard(m->link);
        daemon_link_send(m->link, json_incref(m->exit));
        CRASH_POINT(MONITOR_LAST_WORD);
        m->exit_told = daemon_link_is_connected(m->link);
        /* What is written outlives us; that it outlives the host, too, need not be waited for by those who are told. */
        if (recorded && m->launch->exit_fd >= 0 && fsync(m->launch->exit_fd) < 0)
                log_warning("the exit record may not outlive a crash of the host: %s", strerror(errno));
        if (m->exit_told)
                daemon_link_drain(m->link);
        if ((heard && m->exit_told) || r < 0)
                machine_leave(m);
}

/* A guest without guest init tells on its console that it has found nothing to run, and powers itself off. */
static void note_startup_failure(struct machine *m) {
        if (m->launch->guest || m->facts.guest_error || m->facts.signaled || m->facts.qemu_status != 0 ||
                !console_startup_failure(m->console, m->guest_error))
                return;
        m->facts.guest_error = true;
        daemon_link_send(m->link, json_pack("{s:s, s:s}", "type", "guest-error", "message", m->guest_error));
}

void machine_ended(struct machine *m, const siginfo_t *info) {
        /* Its last events still belong to its life. */
        qmp_drain(m->qmp);
        m->facts.signaled = info->si_code != CLD_EXITED;
        m->facts.qemu_status = info->si_status;
        guest_drain(m->guest);
        /* Its CPUs never ran as far as anybody saw, and nobody wanted its end. */
        if (!m->was_running && !m->facts.exit_frame && !ladder_is_active(&m->ladder))
                m->facts.not_started = true;
        m->facts.exit_port = m->launch->exit_port;
        note_startup_failure(m);
        m->facts.asked = ladder_is_active(&m->ladder);
        m->facts.unhealthy = m->facts.asked && m->facts.unhealthy && !m->stop_requested;
        m->facts.forced = ladder_is_forced(&m->ladder);
        m->facts.oom_kill = m->oom_before >= 0 && oom_kill_count() > m->oom_before;
        machine_finish(m);
}

json_t *machine_hello(struct machine *m) {
        json_t *hello = json_pack("{s:s, s:i, s:I, s:s, s:b, s:i, s:I, s:I, s:b, s:b, s:s}", "type", "hello", "version",
                LAUNCH_WIRE_VERSION, "boot", (json_int_t) m->launch->boot, "state", machine_state_to_string(m->state),
                "asked", (int) ladder_is_active(&m->ladder), "pid", (int) m->pid, "started", (json_int_t) m->started,
                "since", (json_int_t) m->since, "program", (int) m->program, "ready", (int) m->ready, "health",
                health_state_to_string(m->launch->health.state));

        if (hello)
                (void) json_object_set_new(hello, "memory", machine_memory(m));
        if (hello && m->exit) {
                (void) json_object_set(hello, "exit", m->exit);
                m->exit_told = true;
        }
        return hello;
}

void machine_link_closed(struct machine *m) {
        /* Who closed after our last word has heard it; the record is for who has not. */
        if (m->exit_told)
                machine_leave(m);
}
