/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stop ladder: order, shares of the time, shortening, skipping. */
#include "unit.h"

#include "monitor/ladder.h"

#define S 1000000ULL
#define T0 (100 * S)

/* Walks a whole ladder by its own deadlines and notes when each step began. */
static void walk(struct ladder *l, uint64_t *began) {
        began[l->step] = T0;
        for (uint64_t next; (next = ladder_next(l)) != UINT64_MAX;) {
                assert_false(ladder_tick(l, next - 1));
                assert_true(ladder_tick(l, next));
                began[l->step] = next;
        }
        assert_int_equal(l->step, LADDER_KILL);
}

static void test_shares(void **state) {
        struct ladder l = {};
        uint64_t began[_LADDER_STEP_MAX] = {};

        assert_true(ladder_start(&l, T0, 10 * S, true));
        assert_int_equal(l.step, LADDER_GUEST);
        walk(&l, began);
        assert_int_equal(began[LADDER_BUTTON] - T0, 6 * S);
        assert_int_equal(began[LADDER_QUIT] - T0, 8 * S);
        assert_int_equal(began[LADDER_TERM] - T0, 9 * S);
        assert_int_equal(began[LADDER_KILL] - T0, 9 * S + S / 2);
}

static void test_long_time_belongs_to_guest(void **state) {
        struct ladder l = {};
        uint64_t began[_LADDER_STEP_MAX] = {};

        assert_true(ladder_start(&l, T0, 600 * S, true));
        walk(&l, began);
        assert_int_equal(began[LADDER_QUIT] - T0, 590 * S);
        assert_true(began[LADDER_KILL] < T0 + 600 * S);
}

static void test_all_over_in_time(void **state) {
        for (uint64_t timeout = 0; timeout < 30 * S; timeout += 12345) {
                struct ladder l = {};
                uint64_t began[_LADDER_STEP_MAX] = {}, limit = timeout < LADDER_GENTLE_MIN ? LADDER_GENTLE_MIN : timeout;

                assert_true(ladder_start(&l, T0, timeout, timeout % 2));
                walk(&l, began);
                assert_true(began[LADDER_KILL] <= T0 + limit);
                assert_true(began[LADDER_QUIT] <= began[LADDER_TERM] && began[LADDER_TERM] <= began[LADDER_KILL]);
        }
}

static void test_no_guest_starts_at_button(void **state) {
        struct ladder l = {};

        assert_true(ladder_start(&l, T0, 10 * S, false));
        assert_int_equal(l.step, LADDER_BUTTON);
        assert_int_equal(ladder_next(&l), T0 + 8 * S);
}

static void test_zero_is_quit_and_kill(void **state) {
        struct ladder l = {};
        uint64_t began[_LADDER_STEP_MAX] = {};

        assert_true(ladder_start(&l, T0, 0, true));
        assert_int_equal(l.step, LADDER_QUIT);
        assert_true(ladder_is_forced(&l));
        walk(&l, began);
        assert_int_equal(began[LADDER_TERM] - T0, 250000);
        assert_int_equal(began[LADDER_KILL] - T0, 500000);
}

static void test_second_stop_shortens_only(void **state) {
        struct ladder l = {};

        assert_true(ladder_start(&l, T0, 10 * S, true));
        /* The same again, or more, changes nothing. */
        assert_false(ladder_start(&l, T0 + S, 10 * S, true));
        assert_int_equal(l.end, T0 + 10 * S);
        assert_int_equal(ladder_next(&l), T0 + 6 * S);
        /* Shorter: stays where it is, ends earlier. */
        assert_false(ladder_start(&l, T0 + S, 5 * S, true));
        assert_int_equal(l.step, LADDER_GUEST);
        assert_int_equal(l.end, T0 + 6 * S);
        assert_int_equal(ladder_next(&l), T0 + 4 * S);
        /* At once. */
        assert_true(ladder_start(&l, T0 + 2 * S, 0, true));
        assert_int_equal(l.step, LADDER_QUIT);
}

static void test_never_goes_back(void **state) {
        struct ladder l = {};

        assert_true(ladder_start(&l, T0, 100 * S, true));
        assert_true(ladder_tick(&l, T0 + 91 * S));
        assert_int_equal(l.step, LADDER_QUIT);
        assert_false(ladder_start(&l, T0 + 91 * S, 2 * S, true));
        assert_int_equal(l.step, LADDER_QUIT);
        assert_true(ladder_tick(&l, T0 + 200 * S));
        assert_int_equal(l.step, LADDER_KILL);
        assert_false(ladder_start(&l, T0 + 200 * S, 0, true));
        assert_int_equal(l.step, LADDER_KILL);
        assert_int_equal(ladder_next(&l), UINT64_MAX);
}

static void test_late_tick_passes_several(void **state) {
        struct ladder l = {};

        (void) ladder_start(&l, T0, 10 * S, true);
        assert_true(ladder_tick(&l, T0 + 3600 * S));
        assert_int_equal(l.step, LADDER_KILL);
}

static void test_skip(void **state) {
        struct ladder l = {};

        (void) ladder_start(&l, T0, 10 * S, true);
        /* The button gets the guest's time too. */
        assert_true(ladder_skip(&l, T0));
        assert_int_equal(l.step, LADDER_BUTTON);
        assert_int_equal(ladder_next(&l), T0 + 8 * S);
        /* What ends QEMU keeps its own time only. */
        assert_true(ladder_skip(&l, T0));
        assert_int_equal(l.step, LADDER_QUIT);
        assert_int_equal(ladder_next(&l), T0 + S);
        assert_true(ladder_skip(&l, T0));
        assert_int_equal(l.step, LADDER_TERM);
        assert_int_equal(ladder_next(&l), T0 + S / 2);
        assert_true(ladder_skip(&l, T0));
        assert_int_equal(l.step, LADDER_KILL);
        assert_false(ladder_skip(&l, T0));
}

static void test_idle(void **state) {
        struct ladder l = {};

        assert_false(ladder_is_active(&l));
        assert_false(ladder_tick(&l, UINT64_MAX));
        assert_false(ladder_skip(&l, T0));
        assert_int_equal(ladder_next(&l), UINT64_MAX);
}

static void test_absurd_timeout(void **state) {
        struct ladder l = {};

        assert_true(ladder_start(&l, T0, UINT64_MAX, true));
        assert_int_equal(l.end, T0 + LADDER_TIMEOUT_MAX);
}

static void test_names(void **state) {
        for (enum ladder_step s = 0; s < _LADDER_STEP_MAX; s++)
                assert_non_null(ladder_step_to_string(s));
        assert_null(ladder_step_to_string(_LADDER_STEP_MAX));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shares),
                cmocka_unit_test(test_long_time_belongs_to_guest),
                cmocka_unit_test(test_all_over_in_time),
                cmocka_unit_test(test_no_guest_starts_at_button),
                cmocka_unit_test(test_zero_is_quit_and_kill),
                cmocka_unit_test(test_second_stop_shortens_only),
                cmocka_unit_test(test_never_goes_back),
                cmocka_unit_test(test_late_tick_passes_several),
                cmocka_unit_test(test_skip),
                cmocka_unit_test(test_idle),
                cmocka_unit_test(test_absurd_timeout),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
