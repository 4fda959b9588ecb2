/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the wait for those that lived on while no daemon was there. */
#include "core/settle.h"

#include "core/network.h"

struct Settle {
        Runtime *runtime;
        sd_event_source *post, *timer;
        void (*done)(void *userdata);
        void *userdata;
};

static void settle_done(Settle *s) {
        s->post = sd_event_source_disable_unref(s->post);
        s->timer = sd_event_source_disable_unref(s->timer);
        s->done(s->userdata);
}

static bool is_settled(Runtime *rt) {
        return !runtime_awaits_monitors(rt) && !networks_are_awaited(rt);
}

static int on_turn(sd_event_source *source, void *userdata) {
        Settle *s = userdata;

        if (is_settled(s->runtime))
                settle_done(s);
        return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        settle_done(userdata);
        return 0;
}

int settle_wait(Runtime *rt, void (*done)(void *userdata), void *userdata, Settle **ret) {
        Settle *s;
        int r;

        *ret = NULL;
        if (is_settled(rt)) {
                done(userdata);
                return 0;
        }
        s = g_new(Settle, 1);
        *s = (Settle){.runtime = rt, .done = done, .userdata = userdata};
        r = sd_event_add_post(rt->event, &s->post, on_turn, s);
        if (r >= 0)
                r = sd_event_add_time_relative(rt->event, &s->timer, CLOCK_MONOTONIC, SETTLE_USEC, 1000, on_time, s);
        if (r < 0)
                return settle_free(s), r;
        *ret = s;
        return 0;
}

Settle *settle_free(Settle *s) {
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->post);
        sd_event_source_disable_unref(s->timer);
        g_free(s);
        return NULL;
}
