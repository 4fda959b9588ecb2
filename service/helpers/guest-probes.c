/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Joins the probes that are made of frames with the relay, the time and the VM's monitor. */
#include "helpers/guest-probes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "helpers/frame-probe.h"
#include "shared/fd.h"
#include "shared/guest-wire.h"
#include "shared/probe-wire.h"

#define TIMER_ACCURACY_USEC 10000U

struct GuestProbes {
        FrameRelay *relay;
        int monitor;
        sd_event_source *io, *timer;
        FrameLink link;
        FrameProbe probes[FRAME_PROBES]; /* by enum guest_probe */
        bool wanted[FRAME_PROBES];
        bool paused;
        uint8_t round;
};

_Static_assert((int) GUEST_PROBES == FRAME_PROBES, "a probe of each");

static void arm(GuestProbes *g) {
        uint64_t due = UINT64_MAX;

        for (unsigned i = 0; i < FRAME_PROBES; i++)
                if (frame_probe_due(&g->probes[i]) < due)
                        due = frame_probe_due(&g->probes[i]);
        (void) sd_event_source_set_time(g->timer, due);
        (void) sd_event_source_set_enabled(g->timer, due == UINT64_MAX || g->paused ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* A monitor that does not read has no use for old words. */
static void tell(GuestProbes *g, unsigned which, FrameProbeResult result) {
        struct probe_word word = {.which = (uint8_t) which, .good = result == FRAME_PROBE_GOOD, .round = g->round};

        if (result == FRAME_PROBE_PENDING || g->paused || (which == GUEST_PROBE_READY && !word.good))
                return;
        if (which == GUEST_PROBE_READY)
                frame_probe_end(&g->probes[which]);
        (void) send(g->monitor, &word, sizeof word, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void go_on(GuestProbes *g, unsigned which, FrameProbeResult result, const FrameOut *out) {
        if (out->len > 0)
                frame_relay_put(g->relay, out->frame, out->len);
        tell(g, which, result);
}

static bool on_frame(int from, const uint8_t *frame, size_t len, void *userdata) {
        GuestProbes *g = userdata;
        FrameProbeResult result;
        FrameOut out;
        uint64_t due;
        int which;

        if (from == RELAY_PASST) {
                frame_link_note(&g->link, frame, len);
                return false;
        }
        which = frame_probe_number(frame, len);
        if (which < 0 || !g->wanted[which])
                return false;
        due = frame_probe_due(&g->probes[which]);
        result = frame_probe_take(&g->probes[which], frame, len, now_monotonic(), &out);
        go_on(g, (unsigned) which, result, &out);
        if (frame_probe_due(&g->probes[which]) != due) /* not for each frame of a flood */
                arm(g);
        return true;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        GuestProbes *g = userdata;
        FrameOut out;

        for (unsigned i = 0; i < FRAME_PROBES; i++) {
                FrameProbeResult result = frame_probe_tick(&g->probes[i], now_monotonic(), &out);

                go_on(g, i, result, &out);
        }
        arm(g);
        return 0;
}

static void begin(GuestProbes *g) {
        for (unsigned i = 0; i < FRAME_PROBES; i++)
                if (g->wanted[i])
                        frame_probe_begin(&g->probes[i], now_monotonic());
}

/* An attempt over which the guest stood still says nothing of it: what was under way begins anew. */
static void resume(GuestProbes *g) {
        for (unsigned i = 0; i < FRAME_PROBES; i++)
                if (g->probes[i].state != FRAME_PROBE_OFF)
                        frame_probe_begin(&g->probes[i], now_monotonic());
}

static int on_order(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        GuestProbes *g = userdata;
        struct probe_order order;
        ssize_t n = recv(fd, &order, sizeof order, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n == sizeof order && order.command == PROBE_BEGIN) {
                g->round = order.round;
                begin(g);
        } else if (n == sizeof order && order.command == PROBE_PAUSE)
                g->paused = true;
        else if (n == sizeof order && order.command == PROBE_RESUME) {
                g->paused = false;
                resume(g);
        } else { /* the monitor is gone, or speaks another language */
                for (unsigned i = 0; i < FRAME_PROBES; i++)
                        frame_probe_end(&g->probes[i]);
                (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        }
        arm(g);
        return 0;
}

/* 0 also where it is not asked for. */
static int read_plan(GuestProbes *g, const json_t *launch, const char *key, unsigned which) {
        const json_t *value = json_object_get(launch, key);
        const char *text = json_string_value(value);
        struct probe_plan plan;
        uint32_t seed = 0;

        if (!value)
                return 0;
        if (!text || !probe_plan_parse(text, &plan) || plan.kind == PROBE_MESSAGE)
                return -EBADMSG;
        if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
                return -errno;
        frame_probe_init(&g->probes[which], which, &plan, &g->link, seed);
        g->wanted[which] = true;
        return 0;
}

int guest_probes_new(sd_event *event, const json_t *launch, int monitor, FrameRelay *relay, GuestProbes **ret) {
        GuestProbes *g = calloc(1, sizeof *g);
        int r;

        if (!g) {
                (void) close_fd(monitor);
                return -ENOMEM;
        }
        g->relay = relay;
        g->monitor = monitor;
        r = read_plan(g, launch, "ready", GUEST_PROBE_READY);
        if (r >= 0)
                r = read_plan(g, launch, "health", GUEST_PROBE_HEALTH);
        if (r >= 0)
                r = sd_event_add_time(event, &g->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC, on_timer, g);
        if (r >= 0)
                r = sd_event_source_set_enabled(g->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_io(event, &g->io, monitor, EPOLLIN, on_order, g);
        if (r < 0) {
                (void) guest_probes_free(g);
                return r;
        }
        frame_relay_tap(relay, on_frame, g);
        *ret = g;
        return 0;
}

GuestProbes *guest_probes_free(GuestProbes *g) {
        if (!g)
                return NULL;
        frame_relay_tap(g->relay, NULL, NULL);
        sd_event_source_disable_unref(g->io);
        sd_event_source_disable_unref(g->timer);
        (void) close_fd(g->monitor);
        free(g);
        return NULL;
}
