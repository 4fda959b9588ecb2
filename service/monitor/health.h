/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether a VM is in good health, from the results of its probes. Pure: knows the time it is told (microseconds,
 * monotonic) and nothing else. Results come from a guest, which may send none or a million: what does not come in time
 * counts as a failure, what comes sooner than half an interval after the last one is not looked at. So a guest changes
 * its health at most twice an interval, whatever it does.
 */

enum health_state {
        HEALTH_NONE, /* nobody asks */
        HEALTH_STARTING,
        HEALTH_HEALTHY,
        HEALTH_UNHEALTHY,
        _HEALTH_STATE_MAX,
};

/* How much later than the probe's own end its result may come. */
#define HEALTH_GRACE_USEC (2U * 1000U * 1000U)

struct health {
        uint64_t start_period, interval, timeout;
        uint32_t retries;

        enum health_state state;
        uint32_t failures; /* in a row */
        uint64_t counts;   /* failures count from then on (a first interval at least), or from the first success on */
        uint64_t last;     /* the last result that was looked at; 0: none */
        uint64_t due;      /* the next one must be there by then; UINT64_MAX: nobody waits for it */
};

const char *health_state_to_string(enum health_state state);

/* The program begins; also after a reset of the machine. */
void health_begin(struct health *health, uint64_t now);

/* A result. True when the state changed. */
bool health_result(struct health *health, uint64_t now, bool good);

/* Looks at the time. True when the state changed. */
bool health_tick(struct health *health, uint64_t now);

/* When health_tick() has something to do; UINT64_MAX: never. */
uint64_t health_next(const struct health *health);

/* The guest's time stands still, and goes on. */
void health_pause(struct health *health);
void health_resume(struct health *health, uint64_t now);
