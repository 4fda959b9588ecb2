/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ready and health, from the launch message to what the daemon hears. */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine-case.h"
#include "shared/guest-wire.h"
#include "shared/probe-wire.h"

static void launch_probing(const char *mode, const char *ready, const char *pattern, json_t *health) {
        json_t *message = launch_message(mode, true);

        (void) json_object_set_new(message, "ready", json_string(ready));
        if (pattern)
                (void) json_object_set_new(message, "ready_pattern", json_string(pattern));
        if (health)
                (void) json_object_set_new(message, "health", health);
        launch_with(message);
        fake_daemon_skip(&t.daemon, "running");
}

static json_t *health_of(const char *kind, const char *pattern) {
        return json_pack("{s:s, s:s*, s:i, s:i, s:i, s:i}", "kind", kind, "pattern", pattern, "start_period", 0, "interval", 100000,
                "timeout", 100000, "retries", 1);
}

static void expect_health(const char *name) {
        json_t *message = fake_daemon_expect(&t.daemon, "health");

        assert_string_equal(text_of(message, "health"), name);
        json_decref(message);
}

static void test_ready_by_probe(void **state) {
        launch_probing("probed", "probe", NULL, NULL);
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        stop(0);
        expect_exit("killed", 137, "");
}

/* The line and the frame come by different ways, and either may be first. */
static void test_ready_by_console(void **state) {
        json_t *first, *second;

        launch_probing("run", "console", "wo?ld", NULL);
        first = fake_daemon_expect(&t.daemon, NULL);
        second = fake_daemon_expect(&t.daemon, NULL);
        assert_int_equal(
                strcmp(text_of(first, "type"), "ready") == 0, strcmp(text_of(second, "type"), "program") == 0);
        json_decref(first);
        json_decref(second);
        /* A reset begins anew. */
        ask(json_pack("{s:s}", "type", "reset"));
        expect_reply("");
        first = fake_daemon_expect(&t.daemon, "ready");
        assert_true(json_is_false(json_object_get(first, "ready")));
        json_decref(first);
        stop(0);
        expect_exit("killed", 137, "");
}

/* One good result and no more: silence counts as failure. The end is not what anybody asked for. */
static void test_unhealthy(void **state) {
        json_t *exited;

        launch_probing("ailing", "message", NULL, health_of("probe", NULL));
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        expect_health("healthy");
        expect_health("unhealthy");
        ask(json_pack("{s:s, s:i, s:b}", "type", "stop", "timeout", 5000000, "unhealthy", 1));
        expect_reply("");
        expect_state("stopping");
        exited = fake_daemon_expect(&t.daemon, "exited");
        assert_string_equal(text_of(exited, "reason"), "unhealthy");
        assert_true(json_is_false(json_object_get(exited, "asked")));
        json_decref(exited);
        check_record("unhealthy", 0);
        assert_int_equal(fake_daemon_wait(&t.daemon), 0);
}

/* A stop that somebody asks for in between makes it that. */
static void test_unhealthy_and_stopped(void **state) {
        launch_probing("deaf", "message", NULL, health_of("probe", NULL));
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        expect_health("unhealthy");
        ask(json_pack("{s:s, s:i, s:b}", "type", "stop", "timeout", 60000000, "unhealthy", 1));
        expect_reply("");
        expect_state("stopping");
        ask(json_pack("{s:s, s:i}", "type", "stop", "timeout", 0));
        expect_reply("");
        expect_exit("killed", 137, "");
}

static void test_health_by_console(void **state) {
        launch_probing("run", "message", NULL, health_of("console", "hello"));
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        {
                json_t *m = fake_daemon_expect(&t.daemon, "health");

                /* The line may come before it is known that the program runs; then it is silent ever after. */
                if (strcmp(text_of(m, "health"), "healthy") == 0)
                        expect_health("unhealthy");
                else
                        assert_string_equal(text_of(m, "health"), "unhealthy");
                json_decref(m);
        }
        stop(0);
        expect_exit("killed", 137, "");
}

/* A hundred thousand results in a row: a word or two, and the rest is answered. */
static void test_probe_flood(void **state) {
        unsigned words = 0;
        json_t *m;

        launch_probing("probe-flood", "probe", NULL, health_of("probe", NULL));
        fake_daemon_skip(&t.daemon, "program");
        ask(json_pack("{s:s}", "type", "pause"));
        while ((m = fake_daemon_expect(&t.daemon, NULL)) && strcmp(text_of(m, "type"), "reply") != 0) {
                words++;
                json_decref(m);
        }
        json_decref(m);
        assert_in_range(words, 0, 100);
        expect_state("paused");
        stop(0);
        expect_exit("killed", 137, "");
}

/* ---- By mcp-passt ---- */

static void expect_order(int fd, enum probe_command command, unsigned round) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        struct probe_order order;

        assert_int_equal(poll(&p, 1, 10000), 1);
        assert_int_equal(recv(fd, &order, sizeof order, 0), sizeof order);
        assert_int_equal(order.command, command);
        assert_int_equal(order.round, round);
}

static void say_word(int fd, unsigned which, unsigned good, unsigned round) {
        struct probe_word word = {.which = (uint8_t) which, .good = (uint8_t) good, .round = (uint8_t) round};

        assert_int_equal(send(fd, &word, sizeof word, MSG_NOSIGNAL), sizeof word);
}

/* Returns mcp-passt's end. A result is missed after a minute only. */
static int launch_by_frames(void) {
        json_t *message = launch_message("firmware", false);
        _cleanup_close_ int extra = memfd_create("extra", MFD_CLOEXEC);
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        (void) json_object_set_new(message, "ready", json_string("probe"));
        (void) json_object_set_new(message, "health", json_pack("{s:s, s:i, s:i, s:i, s:i}", "kind", "probe", "start_period", 0,
                "interval", 100000, "timeout", 60000000, "retries", 1));
        (void) json_array_append_new(json_object_get(message, "fds"), json_string("probes"));
        fake_daemon_start(&t.daemon, getenv("MONITOR"));
        fake_daemon_send(&t.daemon, message, (int[]){t.log[0], t.log[1], t.log[2], t.exit, extra, pair[1]}, 6);
        (void) close(pair[1]);
        fake_daemon_skip(&t.daemon, "running");
        fake_daemon_skip(&t.daemon, "program");
        return pair[0];
}

/* Its words count as guest init's do; those of before a reset do not. */
static void test_by_frames(void **state) {
        _cleanup_close_ int fd = launch_by_frames();
        json_t *message;

        expect_order(fd, PROBE_BEGIN, 1);
        say_word(fd, GUEST_PROBE_READY, 1, 0);
        say_word(fd, GUEST_PROBE_READY, 0, 1);
        say_word(fd, GUEST_PROBE_HEALTH, 1, 1);
        expect_health("healthy");
        say_word(fd, GUEST_PROBE_READY, 1, 1);
        fake_daemon_skip(&t.daemon, "ready");
        (void) usleep(100000); /* sooner counts as the same */
        say_word(fd, GUEST_PROBE_HEALTH, 0, 1);
        expect_health("unhealthy");
        ask(json_pack("{s:s}", "type", "pause"));
        expect_reply("");
        expect_state("paused");
        expect_order(fd, PROBE_PAUSE, 1);
        ask(json_pack("{s:s}", "type", "resume"));
        expect_reply("");
        expect_state("running");
        expect_order(fd, PROBE_RESUME, 1);
        ask(json_pack("{s:s}", "type", "reset"));
        expect_reply("");
        expect_order(fd, PROBE_BEGIN, 2);
        message = fake_daemon_expect(&t.daemon, "ready");
        assert_true(json_is_false(json_object_get(message, "ready")));
        json_decref(message);
        expect_health("starting");
        say_word(fd, GUEST_PROBE_HEALTH, 1, 1);
        say_word(fd, GUEST_PROBE_READY, 1, 1);
        say_word(fd, GUEST_PROBE_READY, 1, 2);
        fake_daemon_skip(&t.daemon, "ready");
        stop(0);
        expect_exit("killed", 137, "");
}

/* One that ends, or says what is none, is not listened to; the VM goes on. */
static void test_by_nobody(void **state) {
        for (unsigned i = 0; i < 2; i++) {
                _cleanup_close_ int fd = launch_by_frames();

                expect_order(fd, PROBE_BEGIN, 1);
                if (i == 0)
                        fd = close_fd(fd);
                else {
                        say_word(fd, GUEST_PROBES, 1, 1);
                        say_word(fd, GUEST_PROBE_HEALTH, 1, 1);
                }
                (void) usleep(50000);
                ask(json_pack("{s:s}", "type", "pause"));
                expect_reply("");
                expect_state("paused");
                stop(0);
                expect_exit("killed", 137, "");
                teardown(NULL);
                setup(NULL);
        }
}

static void test_bad_probes(void **state) {
        static const char *const bad[] = {"{'ready': 'console'}", "{'ready': 'console', 'ready_pattern': '***'}", "{'ready': 7}",
                "{'health': {}}", "{'health': {'kind': 'probe'}}", "{'health': {'kind': 'console', 'interval': 1, 'timeout': 1, 'retries': 1}}",
                "{'health': {'kind': 'probe', 'interval': 0, 'timeout': 1, 'retries': 1}}",
                "{'health': {'kind': 'probe', 'interval': 1, 'timeout': 1, 'retries': 1001}}"};

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                json_t *message = launch_message("run", true), *more;
                char text[256];

                (void) snprintf(text, sizeof text, "%s", bad[i]);
                for (char *c = text; *c; c++)
                        if (*c == '\'')
                                *c = '"';
                more = json_loads(text, 0, NULL);
                assert_non_null(more);
                (void) json_object_update(message, more);
                json_decref(more);
                launch_with(message);
                assert_int_equal(fake_daemon_wait(&t.daemon), 1);
                teardown(NULL);
                setup(NULL);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_ready_by_probe),
                CASE(test_ready_by_console),
                CASE(test_unhealthy),
                CASE(test_unhealthy_and_stopped),
                CASE(test_health_by_console),
                CASE(test_probe_flood),
                CASE(test_by_frames),
                CASE(test_by_nobody),
                CASE(test_bad_probes),
        };

        (void) signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
