/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the rules by which results of probes become a VM's health. */
#include "monitor/health.h"

#include <stddef.h>

static const char *const state_table[_HEALTH_STATE_MAX] = {
        [HEALTH_NONE] = "none",
        [HEALTH_STARTING] = "starting",
        [HEALTH_HEALTHY] = "healthy",
        [HEALTH_UNHEALTHY] = "unhealthy",
};

const char *health_state_to_string(enum health_state state) {
        return state >= 0 && state < _HEALTH_STATE_MAX ? state_table[state] : NULL;
}

static void expect(struct health *h, uint64_t now) {
        h->due = now + h->interval + h->timeout + HEALTH_GRACE_USEC;
}

void health_begin(struct health *h, uint64_t now) {
        h->state = HEALTH_STARTING;
        h->failures = 0;
        h->counts = now + (h->start_period > h->interval ? h->start_period : h->interval);
        h->last = 0;
        expect(h, now);
}

static bool set_state(struct health *h, enum health_state state) {
        bool changed = h->state != state;

        h->state = state;
        return changed;
}

static bool fail(struct health *h, uint64_t now) {
        if (now < h->counts)
                return false;
        if (h->failures < h->retries)
                h->failures++;
        return h->failures >= h->retries && set_state(h, HEALTH_UNHEALTHY);
}

bool health_result(struct health *h, uint64_t now, bool good) {
        if (h->state == HEALTH_NONE || h->due == UINT64_MAX || (h->last > 0 && now < h->last + h->interval / 2))
                return false;
        h->last = now;
        expect(h, now);
        if (!good)
                return fail(h, now);
        h->counts = 0;
        h->failures = 0;
        return set_state(h, HEALTH_HEALTHY);
}

bool health_tick(struct health *h, uint64_t now) {
        if (h->state == HEALTH_NONE || now < h->due)
                return false;
        expect(h, now);
        return fail(h, now);
}

uint64_t health_next(const struct health *h) {
        return h->state == HEALTH_NONE ? UINT64_MAX : h->due;
}

void health_pause(struct health *h) {
        h->due = UINT64_MAX;
}

void health_resume(struct health *h, uint64_t now) {
        if (h->state != HEALTH_NONE)
                expect(h, now);
}
