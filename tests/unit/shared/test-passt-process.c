/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports are picked where 0 stands, each another one and free; and what a start says when it fails. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "helpers/passt-process.h"

#define N(array) (sizeof(array) / sizeof *(array))

static void test_pick(void **state) {
        static const char *const given[] = {"/usr/bin/passt", "--fd", "3", "--tcp-ports", "127.0.0.1/0:80", "--tcp-ports", "127.0.0.1/8080:80",
                "--tcp-ports", "::1/0:443", "--udp-ports", "127.0.0.1/0:53"};
        char *argv[N(given) + 1] = {};
        json_t *picked = json_array();
        unsigned port, guest;

        for (size_t i = 0; i < N(given); i++)
                argv[i] = strdup(given[i]);
        assert_int_equal(passt_pick_ports(argv, picked), 3);
        assert_int_equal(json_array_size(picked), 3);
        for (size_t i = 0; i < N(given); i++)
                if (i != 4 && i != 8 && i != 10)
                        assert_string_equal(argv[i], given[i]);
        assert_int_equal(sscanf(argv[4], "127.0.0.1/%u:%u", &port, &guest), 2);
        assert_int_equal(port, json_integer_value(json_array_get(picked, 0)));
        assert_in_range(port, 1024, 65535);
        assert_int_equal(guest, 80);
        assert_int_equal(sscanf(argv[8], "::1/%u:%u", &port, &guest), 2);
        assert_int_equal(port, json_integer_value(json_array_get(picked, 1)));
        assert_int_equal(sscanf(argv[10], "127.0.0.1/%u:%u", &port, &guest), 2);
        assert_int_equal(port, json_integer_value(json_array_get(picked, 2)));
        for (size_t i = 0; i < N(given); i++)
                free(argv[i]);
        json_decref(picked);
}

static void test_pick_nowhere(void **state) {
        char *argv[] = {strdup("passt"), strdup("--tcp-ports"), strdup("192.0.2.77/0:80"), NULL};
        json_t *picked = json_array();

        assert_int_equal(passt_pick_ports(argv, picked), -EADDRNOTAVAIL);
        for (size_t i = 0; argv[i]; i++)
                free(argv[i]);
        json_decref(picked);
}

static int start(const char *script, PasstFailure *f) {
        char shell[] = "/bin/sh", option[] = "-c", *text = strdup(script);
        char *argv[] = {shell, option, text, NULL};
        int pair[2], r;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        r = passt_start(argv, pair[1], f);
        (void) close(pair[0]);
        free(text);
        return r;
}

static void test_failures(void **state) {
        char missing[] = "/nonexistent/passt", *argv[] = {missing, NULL};
        PasstFailure f = {};
        int pair[2];

        assert_int_equal(start("printf 'x\\033[1my\\n'; exit 3", &f), -ECANCELED);
        assert_string_equal(f.error, "Failed");
        assert_string_equal(f.message, "x?[1my");
        assert_int_equal(start("kill -9 $$", &f), -ECANCELED);
        assert_string_equal(f.error, "Failed");
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(passt_start(argv, pair[1], &f), -ECANCELED);
        assert_string_equal(f.error, "ToolMissing");
        (void) close(pair[0]);
}

/* passt says that it could not bind; which port it was is found out. */
static void test_port_in_use(void **state) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        char shell[] = "/bin/sh", option[] = "-c", script[] = "echo 'Failed to bind any port, exiting' >&2; exit 1", *forward, expected[64];
        int pair[2], taken = socket(AF_INET, SOCK_STREAM, 0);
        socklen_t len = sizeof a;
        PasstFailure f = {};
        char *argv[] = {shell, option, script, (char *) "--tcp-ports", NULL, NULL};

        assert_int_equal(bind(taken, (struct sockaddr *) &a, len), 0);
        assert_int_equal(getsockname(taken, (struct sockaddr *) &a, &len), 0);
        assert_true(asprintf(&forward, "127.0.0.1/%u:80", ntohs(a.sin_port)) > 0);
        argv[4] = forward;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(passt_start(argv, pair[1], &f), -ECANCELED);
        (void) close(pair[0]);
        assert_string_equal(f.error, "PortInUse");
        (void) snprintf(expected, sizeof expected, "TCP port %u of 127.0.0.1: Address already in use", ntohs(a.sin_port));
        assert_string_equal(f.message, expected);

        (void) close(taken);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(passt_start(argv, pair[1], &f), -ECANCELED);
        (void) close(pair[0]);
        assert_string_equal(f.error, "Failed");
        assert_non_null(strstr(f.message, "IPv6"));
        free(forward);
}

/* What stays behind as a daemon is ours to wait for: it ends with its socket. */
static void test_daemon(void **state) {
        PasstFailure f = {};

        assert_int_equal(start("(cat <&3 >/dev/null) & exit 0", &f), 0);
        assert_int_equal(passt_await_end(20000000), 0);
        assert_int_equal(start("sleep 1000 3<&- & echo $! >&3; exit 0", &f), 0);
        assert_int_equal(passt_await_end(100000), -ETIMEDOUT);
}

static int kill_children(void **state) {
        (void) signal(SIGTERM, SIG_IGN);
        return kill(0, SIGTERM);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pick),
                cmocka_unit_test(test_pick_nowhere),
                cmocka_unit_test(test_failures),
                cmocka_unit_test(test_port_in_use),
                cmocka_unit_test(test_daemon),
        };
        sigset_t child;

        (void) sigemptyset(&child);
        (void) sigaddset(&child, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &child, NULL);
        (void) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        (void) setpgid(0, 0);
        return cmocka_run_group_tests(tests, NULL, kill_children);
}
