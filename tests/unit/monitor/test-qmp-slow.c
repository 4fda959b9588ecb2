/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QMP client against peers that take their time, with limits that a test can wait for: linked with a qmp.c whose
 * greeting has half a second and whose replies have 0.3 s. */
#include "unit.h"

#include <errno.h>

#include "qmp-peer.h"

/* Turns until the clock says so, or the client has gone. */
static void turn(uint64_t usec) {
        uint64_t end = now_monotonic() + usec;

        while (t.gone == 0 && now_monotonic() < end)
                (void) sd_event_run(t.event, 10000);
}

static void say(const char *text, size_t len) {
        (void) !send(t.peer, text, len, MSG_NOSIGNAL);
}

static void test_silent(void **state) {
        turn(20 * 1000000);
        assert_int_equal(t.gone, 1);
        assert_int_equal(t.gone_error, -ETIMEDOUT);
        assert_int_equal(qmp_execute(t.qmp, "stop", NULL, on_reply, NULL), -ENOTCONN);
}

/* Every byte comes, and the time is over all the same. */
static void test_a_byte_now_and_then(void **state) {
        uint64_t begin = now_monotonic();

        for (size_t i = 0; t.gone == 0 && i < sizeof GREETING - 1; i++) {
                say(&GREETING[i], 1);
                turn(50000);
        }
        turn(20 * 1000000);
        assert_int_equal(t.gone_error, -ETIMEDOUT);
        assert_int_equal(t.ready, 0);
        assert_true(now_monotonic() - begin < 10 * 1000000);
}

/* A greeting, and no word after it. */
static void test_greeting_alone(void **state) {
        say(GREETING, sizeof GREETING - 1);
        turn(20 * 1000000);
        assert_int_equal(t.gone_error, -ETIMEDOUT);
}

/* Who does not answer a command loses that, not the connection; a late answer is nobody's. */
static void test_no_reply(void **state) {
        say(GREETING, sizeof GREETING - 1);
        say("{\"return\": {}, \"id\": 1}\n", 24);
        turn(100000);
        assert_int_equal(t.ready, 1);
        assert_int_equal(qmp_execute(t.qmp, "stop", NULL, on_reply, NULL), 0);
        while (t.replies == 0)
                turn(50000);
        assert_int_equal(t.reply_error, -ETIMEDOUT);
        say("{\"return\": {}, \"id\": 2}\n", 24);
        turn(100000);
        assert_int_equal(t.replies, 1);
        assert_int_equal(t.gone, 0);
        assert_true(qmp_is_ready(t.qmp));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_silent),
                CASE(test_a_byte_now_and_then),
                CASE(test_greeting_alone),
                CASE(test_no_reply),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
