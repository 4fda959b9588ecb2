/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results of probes and what becomes of them. */
#include "unit.h"

#include "monitor/health.h"

#define S 1000000ULL
#define T0 (100 * S)

static struct health new_health(uint64_t start_period, uint32_t retries) {
        struct health h = {.state = HEALTH_STARTING,
                .start_period = start_period,
                .interval = 10 * S,
                .timeout = S,
                .retries = retries};

        health_begin(&h, T0);
        return h;
}

static void test_healthy_and_back(void **state) {
        struct health h = new_health(0, 3);

        assert_int_equal(h.state, HEALTH_STARTING);
        assert_true(health_result(&h, T0 + S, true));
        assert_int_equal(h.state, HEALTH_HEALTHY);
        assert_false(health_result(&h, T0 + 10 * S, true));
        assert_false(health_result(&h, T0 + 20 * S, false));
        assert_false(health_result(&h, T0 + 30 * S, false));
        assert_true(health_result(&h, T0 + 40 * S, false));
        assert_int_equal(h.state, HEALTH_UNHEALTHY);
        assert_false(health_result(&h, T0 + 50 * S, false));
        assert_true(health_result(&h, T0 + 60 * S, true));
        assert_int_equal(h.state, HEALTH_HEALTHY);
        /* One good one begins the row anew. */
        assert_false(health_result(&h, T0 + 70 * S, false));
        assert_false(health_result(&h, T0 + 80 * S, false));
        assert_false(health_result(&h, T0 + 90 * S, true));
        assert_false(health_result(&h, T0 + 100 * S, false));
        assert_false(health_result(&h, T0 + 110 * S, false));
}

/* Failures do not count before the first success, or the end of the start period, and never in the first interval. */
static void test_start_period(void **state) {
        struct health h = new_health(35 * S, 1);

        assert_false(health_result(&h, T0, false));
        assert_false(health_result(&h, T0 + 10 * S, false));
        assert_false(health_result(&h, T0 + 34 * S, false));
        assert_int_equal(h.state, HEALTH_STARTING);
        assert_true(health_result(&h, T0 + 44 * S, false));
        assert_int_equal(h.state, HEALTH_UNHEALTHY);

        h = new_health(35 * S, 1);
        assert_true(health_result(&h, T0 + 5 * S, true));
        assert_true(health_result(&h, T0 + 15 * S, false));

        h = new_health(0, 1);
        assert_false(health_result(&h, T0 + S, false));
        assert_true(health_result(&h, T0 + 11 * S, false));
}

/* A guest that says nothing fails as one that says no. */
static void test_silence(void **state) {
        struct health h = new_health(0, 2);
        uint64_t next = health_next(&h);

        assert_int_equal(next, T0 + 11 * S + HEALTH_GRACE_USEC);
        assert_false(health_tick(&h, next - 1));
        assert_false(health_tick(&h, next));
        assert_int_equal(h.failures, 1);
        next = health_next(&h);
        assert_true(health_tick(&h, next));
        assert_int_equal(h.state, HEALTH_UNHEALTHY);
        /* And it can come back. */
        assert_true(health_result(&h, next + S, true));
}

/* A guest that says too much changes nothing by it: at most one result in half an interval. */
static void test_flood(void **state) {
        struct health h = new_health(0, 1);
        unsigned changes = 0;

        for (uint64_t t = 0; t < 100 * S; t += 1000)
                changes += health_result(&h, T0 + t, t / 1000 % 2);
        assert_in_range(changes, 1, 20);
}

static void test_pause(void **state) {
        struct health h = new_health(0, 1);

        assert_true(health_result(&h, T0 + S, true));
        health_pause(&h);
        assert_true(health_next(&h) == UINT64_MAX);
        assert_false(health_tick(&h, T0 + 1000 * S));
        assert_false(health_result(&h, T0 + 1000 * S, false)); /* said before, read after */
        health_resume(&h, T0 + 2000 * S);
        assert_int_equal(health_next(&h), T0 + 2011 * S + HEALTH_GRACE_USEC);
        assert_int_equal(h.state, HEALTH_HEALTHY);
}

static void test_nobody_asks(void **state) {
        struct health h = {};

        assert_true(health_next(&h) == UINT64_MAX);
        assert_false(health_result(&h, T0, true));
        assert_false(health_tick(&h, T0));
        health_pause(&h);
        health_resume(&h, T0);
        assert_int_equal(h.state, HEALTH_NONE);
        for (int i = 0; i < _HEALTH_STATE_MAX; i++)
                assert_non_null(health_state_to_string((enum health_state) i));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_healthy_and_back),
                cmocka_unit_test(test_start_period),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_flood),
                cmocka_unit_test(test_pause),
                cmocka_unit_test(test_nobody_asks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
