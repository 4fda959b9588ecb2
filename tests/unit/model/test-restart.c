/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Restart policies: their words, when they apply, how long they wait. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/restart.h"

static RestartPolicy parse(const char *text) {
        RestartPolicy p;

        assert_int_equal(restart_policy_parse(text, &p), 0);
        return p;
}

static void test_words(void **state) {
        static const char *const bad[] = {"", "No", "never", "on-failure:", "on-failure:0", "on-failure:1001",
                "on-failure:-1", "on-failure:+1", "on-failure:1 ", "on-failure: 1", "always:3", "on-failures"};
        RestartPolicy p = {.mode = RESTART_ALWAYS, .max = 7};

        assert_int_equal(parse("no").mode, RESTART_NO);
        assert_int_equal(parse("always").mode, RESTART_ALWAYS);
        assert_int_equal(parse("unless-stopped").mode, RESTART_UNLESS_STOPPED);
        assert_int_equal(parse("on-failure").mode, RESTART_ON_FAILURE);
        assert_int_equal(parse("on-failure").max, 0);
        assert_int_equal(parse("on-failure:1000").max, 1000);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_int_equal(restart_policy_parse(bad[i], &p), -EINVAL);
        assert_int_equal(p.mode, RESTART_ALWAYS);
        assert_int_equal(p.max, 7);
}

static void test_applies(void **state) {
        static const struct {
                const char *policy;
                ExitReason reason;
                int code;
                uint32_t count;
                bool expected;
        } rows[] = {
                {"no", EXIT_CRASHED, 0, 0, false},
                {"on-failure", EXIT_GUEST_EXIT, 0, 0, false},
                {"on-failure", EXIT_GUEST_EXIT, 1, 0, true},
                {"on-failure", EXIT_GUEST_SIGNAL, 11, 500, true},
                {"on-failure", EXIT_POWERED_OFF, 0, 0, false},
                {"on-failure", EXIT_CRASHED, 139, 0, true},
                {"on-failure", EXIT_OOM, 137, 0, true},
                {"on-failure", EXIT_LOST, 0, 0, true},
                {"on-failure:2", EXIT_CRASHED, 0, 1, true},
                {"on-failure:2", EXIT_CRASHED, 0, 2, false},
                {"always", EXIT_GUEST_EXIT, 0, 99, true},
                {"always", EXIT_KILLED, 137, 0, false},
                {"unless-stopped", EXIT_GUEST_EXIT, 0, 0, true},
                {"unless-stopped", EXIT_KILLED, 137, 0, false},
        };

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                RestartPolicy p = parse(rows[i].policy);

                assert_int_equal(
                        restart_policy_applies(&p, rows[i].reason, rows[i].code, rows[i].count), rows[i].expected);
        }
}

static void test_with_host(void **state) {
        RestartPolicy always = parse("always"), unless = parse("unless-stopped"), failure = parse("on-failure");

        assert_true(restart_policy_with_host(&always, false));
        assert_true(restart_policy_with_host(&unless, true));
        assert_false(restart_policy_with_host(&unless, false));
        assert_false(restart_policy_with_host(&failure, true));
}

static void test_delay(void **state) {
        assert_int_equal(restart_delay(0), 100000);
        assert_int_equal(restart_delay(1), 200000);
        assert_int_equal(restart_delay(9), 51200000);
        assert_int_equal(restart_delay(10), 60000000);
        assert_int_equal(restart_delay(UINT32_MAX), 60000000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_applies),
                cmocka_unit_test(test_with_host),
                cmocka_unit_test(test_delay),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
