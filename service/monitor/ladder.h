/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The stop ladder: which way of ending a VM is tried when. Pure: knows the time it is told and nothing else.
 *
 * Shares of the caller's time T (microseconds): the ending of QEMU takes the last fifth of T, at most 10 s; of that
 * half for QMP quit, a quarter for SIGTERM, and SIGKILL comes when the last quarter begins, so that all is over within
 * T. What is before it is the guest's: three quarters for its own stop message, one for the power button; a guest that
 * takes no message leaves its share to the button. Below LADDER_GENTLE_MIN the guest is not asked at all: quit at once,
 * SIGTERM 250 ms later, SIGKILL 500 ms after the call.
 */
#define LADDER_GENTLE_MIN (500U * 1000U)
#define LADDER_TIMEOUT_MAX (24ULL * 3600U * 1000000U)

enum ladder_step {
        LADDER_IDLE,
        LADDER_GUEST,  /* GUEST_STOP frame */
        LADDER_BUTTON, /* QMP system_powerdown */
        LADDER_QUIT,   /* QMP quit */
        LADDER_TERM,   /* SIGTERM to QEMU */
        LADDER_KILL,   /* SIGKILL to QEMU; nothing comes after it */
        _LADDER_STEP_MAX,
};

struct ladder {
        enum ladder_step step;
        uint64_t end;                    /* when all shall be over */
        uint64_t until[_LADDER_STEP_MAX]; /* when a step's time is over; UINT64_MAX for LADDER_KILL */
};

const char *ladder_step_to_string(enum ladder_step step);

/* Begins, or shortens a ladder that runs: a call that would end later than the running one changes nothing. with_guest:
 * the guest takes a stop message now. True when there is a new step to do. */
bool ladder_start(struct ladder *ladder, uint64_t now, uint64_t timeout, bool with_guest);

/* Moves on when the step's time is over; several steps when late. True when there is a new step to do. */
bool ladder_tick(struct ladder *ladder, uint64_t now);

/* The step could not be done: the next one is due at once, with the time that is left. True when there is one. */
bool ladder_skip(struct ladder *ladder, uint64_t now);

/* When ladder_tick() has something to do; UINT64_MAX: never. */
uint64_t ladder_next(const struct ladder *ladder);

static inline bool ladder_is_active(const struct ladder *ladder) {
        return ladder->step != LADDER_IDLE;
}

/* Whether we ended QEMU itself, and did not only ask its guest. */
static inline bool ladder_is_forced(const struct ladder *ladder) {
        return ladder->step >= LADDER_QUIT;
}
