/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the ladder at work: does each step, passes over the ones that cannot be done. */
#include <signal.h>
#include <string.h>
#include <time.h>

#include "monitor/machine.h"
#include "monitor/qemu.h"
#include "shared/fd.h"

static void climb(struct machine *m);

static void wake_cpus(struct machine *m) {
        if (m->cpus_stopped)
                (void) qmp_execute(m->qmp, "cont", NULL, NULL, NULL);
}

static void after_refusal(struct machine *m, enum ladder_step step, int error, const char *text) {
        if (error >= 0 || m->ladder.step != step || m->state == MACHINE_EXITED)
                return;
        console_say(m->console, "stop: %s: %s", ladder_step_to_string(step), text);
        if (ladder_skip(&m->ladder, now_monotonic()))
                climb(m);
}

static void on_button(void *userdata, int error, const char *text, const json_t *value) {
        after_refusal(userdata, LADDER_BUTTON, error, text);
}

static void on_quit(void *userdata, int error, const char *text, const json_t *value) {
        after_refusal(userdata, LADDER_QUIT, error, text);
}

/* Negative when the step is not possible. */
static int do_step(struct machine *m) {
        int r;

        switch (m->ladder.step) {
        case LADDER_GUEST:
                wake_cpus(m);
                r = guest_send(m->guest, GUEST_STOP, 0);
                m->guest_told = r >= 0;
                return r;
        case LADDER_BUTTON:
                wake_cpus(m);
                return qmp_execute(m->qmp, "system_powerdown", NULL, on_button, m);
        case LADDER_QUIT:
                return qmp_execute(m->qmp, "quit", NULL, on_quit, m);
        case LADDER_TERM:
                return pidfd_kill(m->pidfd, SIGTERM);
        case LADDER_KILL:
                return pidfd_kill(m->pidfd, SIGKILL);
        default:
                return 0;
        }
}

static void arm(struct machine *m) {
        uint64_t next = ladder_next(&m->ladder);

        (void) sd_event_source_set_time(m->ladder_timer, next);
        (void) sd_event_source_set_enabled(m->ladder_timer, next == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void climb(struct machine *m) {
        int r;

        while ((r = do_step(m)) < 0) {
                console_say(m->console, "stop: no way by %s: %s", ladder_step_to_string(m->ladder.step), strerror(-r));
                if (!ladder_skip(&m->ladder, now_monotonic()))
                        break;
        }
        if (r >= 0)
                console_say(m->console, "stop: %s", ladder_step_to_string(m->ladder.step));
        arm(m);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct machine *m = userdata;

        if (ladder_tick(&m->ladder, now_monotonic()))
                climb(m);
        else
                arm(m);
        return 0;
}

int machine_stop_init(struct machine *m) {
        int r;

        r = sd_event_add_time(m->event, &m->ladder_timer, CLOCK_MONOTONIC, 0, 1000, on_timer, m);
        if (r >= 0)
                r = sd_event_source_set_priority(m->ladder_timer, SD_EVENT_PRIORITY_IMPORTANT);
        return r >= 0 ? sd_event_source_set_enabled(m->ladder_timer, SD_EVENT_OFF) : r;
}

void machine_stop(struct machine *m, uint64_t timeout) {
        bool climbs;

        if (m->state == MACHINE_EXITED)
                return;
        if (timeout >= LADDER_GENTLE_MIN)
                m->asked_gently = true;
        climbs = ladder_start(&m->ladder, now_monotonic(), timeout, m->launch->guest && m->guest_hello);
        machine_set_state(m, MACHINE_STOPPING);
        if (climbs)
                climb(m);
        else
                arm(m);
}

void machine_stop_guest_arrived(struct machine *m) {
        /* The button may have been pressed before anyone in the guest watched it. */
        if (m->ladder.step == LADDER_BUTTON && m->launch->guest && !m->guest_told)
                m->guest_told = guest_send(m->guest, GUEST_STOP, 0) >= 0;
}
