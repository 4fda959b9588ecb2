/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What probes read: plans, notifications, answers. */
#include "unit.h"

#include "shared/probe-text.h"

static void test_plans(void **state) {
        static const char *const bad[] = {"", "tcp", "tcp 80", "tcp 80 1000000", "tcp 0 1000000 1000000",
                "tcp 65536 1000000 1000000", "tcp 80 99999 1000000", "tcp 80 1000000 99999",
                "tcp 80 3600000001 1000000", "tcp 80 1000000 1000000 /", "tcp -1 1000000 1000000",
                "tcp 80  1000000 1000000", "udp 80 1000000 1000000", "http 80 1000000 1000000",
                "http 80 1000000 1000000 x", "http 80 1000000 1000000 /a b", "http 80 1000000 1000000 /\n",
                "message 0 1000000 1000000 x", " tcp 80 1000000 1000000", "tcp 99999999999999999999 1000000 1000000"};
        struct probe_plan plan;

        assert_true(probe_plan_parse("tcp 80 1000000 2000000", &plan));
        assert_int_equal(plan.kind, PROBE_TCP);
        assert_int_equal(plan.port, 80);
        assert_int_equal(plan.interval, 1000000);
        assert_int_equal(plan.timeout, 2000000);
        assert_true(probe_plan_parse("http 65535 100000 100000 /x?y=1", &plan));
        assert_int_equal(plan.kind, PROBE_HTTP);
        assert_string_equal(plan.path, "/x?y=1");
        assert_true(probe_plan_parse("message 0 3600000000 100000", &plan));
        assert_int_equal(plan.kind, PROBE_MESSAGE);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                if (probe_plan_parse(bad[i], &plan))
                        fail_msg("'%s' was taken", bad[i]);
}

static void notified(const char *text, size_t len, bool ready, bool watchdog) {
        struct notification n = {.ready = true, .watchdog = true};

        notification_parse(text, len, &n);
        assert_int_equal(n.ready, ready);
        assert_int_equal(n.watchdog, watchdog);
}

static void test_notifications(void **state) {
        notified("", 0, false, false);
        notified("READY=1", 7, true, false);
        notified("READY=1\n", 8, true, false);
        notified("STATUS=x\nREADY=1\nWATCHDOG=1\n", 28, true, true);
        notified("WATCHDOG=1", 10, false, true);
        notified("READY=10", 8, false, false);
        notified("READY=1\0", 8, false, false);
        notified("XREADY=1", 8, false, false);
        notified("READY=1 \n READY=1", 17, false, false);
        notified("READY=0\nREADY=", 14, false, false);
        notified("\n\n\n", 3, false, false);
        notified("WATCHDOG=trigger", 16, false, false);
}

static void answered(const char *text, int expected) {
        size_t len = strlen(text);

        assert_int_equal(http_status(text, len), expected);
        /* Every beginning of it needs more, or is refused for good. */
        for (size_t i = 0; i < len && i < HTTP_STATUS_LINE_MIN; i++)
                assert_true(http_status(text, i) <= 0);
}

static void test_answers(void **state) {
        answered("HTTP/1.1 200 OK\r\n", 200);
        answered("HTTP/1.0 404", 404);
        answered("HTTP/2.0 599 x", 599);
        answered("HTTP/1.1 2", 0);
        answered("HTTP/1.1 20x OK", -1);
        answered("HTTP/11 200 OK", -1);
        answered("HTTP/1.1 000 OK", -1);
        answered("SSH-2.0-OpenSSH", -1);
        answered("http/1.1 200", -1);
        assert_int_equal(http_status("", 0), 0);
        assert_int_equal(http_status("H\0", 2), -1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plans),
                cmocka_unit_test(test_notifications),
                cmocka_unit_test(test_answers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
