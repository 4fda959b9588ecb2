/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what is known of a guest beyond its running: that its program began, that it is ready, how it is. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "monitor/machine.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/probe-wire.h"

#define TIMER_ACCURACY_USEC 50000U

static struct health *health_of(struct machine *m) {
        return &m->launch->health;
}

static void arm(struct machine *m) {
        uint64_t next = health_next(health_of(m));

        (void) sd_event_source_set_time(m->health_timer, next);
        (void) sd_event_source_set_enabled(m->health_timer, next == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void tell_health(struct machine *m) {
        const char *text = health_state_to_string(health_of(m)->state);

        console_say(m->console, "health: %s", text);
        daemon_link_send(m->link, json_pack("{s:s, s:s}", "type", "health", "health", text));
        machine_notify_status(m);
}

/* A guest that is going down is no longer asked how it is. */
static bool counts(const struct machine *m) {
        return m->state == MACHINE_RUNNING || m->state == MACHINE_STARTING;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct machine *m = userdata;

        if (counts(m) && health_tick(health_of(m), now_monotonic()))
                tell_health(m);
        arm(m);
        return 0;
}

/* Where mcp-passt probes the guest. One that does not read is gone, or hangs: then no words come, which says enough. */
static void order_probes(struct machine *m, enum probe_command command) {
        struct probe_order order = {.command = (uint8_t) command};

        if (!m->prober)
                return;
        order.round = command == PROBE_BEGIN ? ++m->probe_round : m->probe_round;
        (void) send(m->launch->probes_fd, &order, sizeof order, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int on_probe_word(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct machine *m = userdata;
        struct probe_word word;
        ssize_t n = recv(fd, &word, sizeof word, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n != sizeof word || word.which >= GUEST_PROBES || word.good > 1)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (m->program && word.round == m->probe_round)
                machine_probed(m, word.which, word.good);
        return 0;
}

void machine_program_runs(struct machine *m) {
        if (m->program)
                return;
        m->program = true;
        daemon_link_send(m->link, json_pack("{s:s}", "type", "program"));
        order_probes(m, PROBE_BEGIN);
        if (health_of(m)->state == HEALTH_NONE)
                return;
        health_begin(health_of(m), now_monotonic());
        arm(m);
}

void machine_set_ready(struct machine *m) {
        if (m->ready)
                return;
        m->ready = true;
        CRASH_POINT(MONITOR_READY);
        daemon_link_send(m->link, json_pack("{s:s}", "type", "ready"));
        machine_notify_status(m);
}

static void health_was(struct machine *m, bool good) {
        if (!m->program || !counts(m))
                return;
        if (health_result(health_of(m), now_monotonic(), good))
                tell_health(m);
        arm(m);
}

void machine_probed(struct machine *m, enum guest_probe which, bool good) {
        if (which == GUEST_PROBE_READY && good && m->launch->ready == READY_BY_PROBE)
                machine_set_ready(m);
        if (which == GUEST_PROBE_HEALTH && !m->launch->health_by_console)
                health_was(m, good);
}

/* Where there is a guest init, the program has a console of its own, and the kernel's words are not the program's. */
static void on_output(void *userdata, char stream, const char *data, size_t len) {
        struct machine *m = userdata;

        if (m->launch->guest && stream != 'p')
                return;
        if (m->launch->ready == READY_BY_CONSOLE && !m->ready &&
                pattern_search(&m->launch->ready_pattern, &m->ready_search, data, len))
                machine_set_ready(m);
        if (m->launch->health_by_console && pattern_search(&m->launch->health_pattern, &m->health_search, data, len))
                health_was(m, true);
}

int machine_health_init(struct machine *m) {
        int r;

        r = sd_event_add_time(m->event, &m->health_timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC, on_timer, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->health_timer, SD_EVENT_OFF);
        if (m->launch->ready == READY_BY_CONSOLE || m->launch->health_by_console)
                console_set_watch(m->console, on_output, m);
        if (r >= 0 && m->launch->probes_fd >= 0)
                r = sd_event_add_io(m->event, &m->prober, m->launch->probes_fd, EPOLLIN, on_probe_word, m);
        return r;
}

void machine_health_paused(struct machine *m, bool paused) {
        if (!m->program)
                return;
        order_probes(m, paused ? PROBE_PAUSE : PROBE_RESUME);
        if (paused)
                health_pause(health_of(m));
        else if (health_of(m)->due == UINT64_MAX)
                health_resume(health_of(m), now_monotonic());
        arm(m);
}

void machine_health_reset(struct machine *m) {
        bool was_ready = m->ready;

        m->ready_search = m->health_search = 0;
        /* Without guest init nothing tells the new beginning from the old: it begins now. */
        m->program = !m->launch->guest;
        m->ready = m->launch->ready == READY_NONE;
        if (m->program)
                order_probes(m, PROBE_BEGIN);
        if (was_ready && !m->ready)
                daemon_link_send(m->link, json_pack("{s:s, s:b}", "type", "ready", "ready", 0));
        if (health_of(m)->state == HEALTH_NONE)
                return;
        health_begin(health_of(m), now_monotonic());
        if (!m->program)
                health_pause(health_of(m));
        tell_health(m);
        arm(m);
}

void machine_health_ended(struct machine *m) {
        (void) sd_event_source_set_enabled(m->health_timer, SD_EVENT_OFF);
        m->prober = sd_event_source_disable_unref(m->prober);
}
