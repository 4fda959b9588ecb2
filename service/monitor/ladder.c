/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the order and the times of the ways to end a VM. */
#include "monitor/ladder.h"

#include <string.h>

#define TAIL_MAX (10ULL * 1000000U)

static const char *const step_table[_LADDER_STEP_MAX] = {
        [LADDER_IDLE] = "idle",
        [LADDER_GUEST] = "guest",
        [LADDER_BUTTON] = "button",
        [LADDER_QUIT] = "quit",
        [LADDER_TERM] = "term",
        [LADDER_KILL] = "kill",
};

const char *ladder_step_to_string(enum ladder_step step) {
        return step >= 0 && step < _LADDER_STEP_MAX ? step_table[step] : NULL;
}

/* Shares out the time from now on, for the steps from first. */
static void plan(struct ladder *l, uint64_t now, uint64_t timeout, enum ladder_step first) {
        uint64_t tail = timeout, front = 0;

        if (first < LADDER_QUIT) {
                tail = timeout / 5 < TAIL_MAX ? timeout / 5 : TAIL_MAX;
                front = timeout - tail;
        }
        l->until[LADDER_IDLE] = now;
        l->until[LADDER_GUEST] = now + (first == LADDER_GUEST ? front / 4 * 3 : 0);
        l->until[LADDER_BUTTON] = now + front;
        l->until[LADDER_QUIT] = now + front + tail / 2;
        l->until[LADDER_TERM] = now + front + tail / 4 * 3;
        l->until[LADDER_KILL] = UINT64_MAX;
        l->end = now + timeout;
        l->step = first;
}

bool ladder_start(struct ladder *l, uint64_t now, uint64_t timeout, bool with_guest) {
        enum ladder_step old = l->step, first = with_guest ? LADDER_GUEST : LADDER_BUTTON;

        if (timeout > LADDER_TIMEOUT_MAX)
                timeout = LADDER_TIMEOUT_MAX;
        if (old == LADDER_KILL)
                return false;
        if (timeout < LADDER_GENTLE_MIN) {
                timeout = LADDER_GENTLE_MIN;
                first = LADDER_QUIT;
        }
        if (ladder_is_active(l)) {
                if (now + timeout >= l->end)
                        return false;
                if (old > first)
                        first = old;
        }
        plan(l, now, timeout, first);
        if (first == LADDER_QUIT && timeout == LADDER_GENTLE_MIN)
                l->until[LADDER_TERM] = now + LADDER_GENTLE_MIN;
        return l->step != old;
}

bool ladder_tick(struct ladder *l, uint64_t now) {
        enum ladder_step old = l->step;

        while (ladder_is_active(l) && now >= l->until[l->step])
                l->step++;
        return l->step != old;
}

bool ladder_skip(struct ladder *l, uint64_t now) {
        uint64_t unused;

        if (!ladder_is_active(l) || l->step == LADDER_KILL)
                return false;
        unused = l->until[l->step] > now ? l->until[l->step] - now : 0;
        l->step++;
        /* The button inherits the time of a guest that takes no message. The steps that end QEMU keep their own:
         * waiting longer for a QEMU that does not end helps nobody. */
        if (l->step >= LADDER_QUIT)
                for (enum ladder_step s = l->step; s < LADDER_KILL; s++)
                        l->until[s] -= unused;
        return true;
}

uint64_t ladder_next(const struct ladder *l) {
        return ladder_is_active(l) ? l->until[l->step] : UINT64_MAX;
}
