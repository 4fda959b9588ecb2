/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attempts at servers of this process: what is good, what is bad, and in what time. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#include "guest/probe.h"
#include "shared/fd.h"

static int listen_at(uint32_t address, uint16_t *ret_port) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
        socklen_t len = sizeof in;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &in, sizeof in), 0);
        assert_int_equal(listen(fd, 16), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *) &in, &len), 0);
        *ret_port = ntohs(in.sin_port);
        return fd;
}

static struct probe begin(enum probe_kind kind, uint16_t port, uint32_t own) {
        struct probe_plan plan = {
                .kind = kind, .port = port, .interval = 1000000, .timeout = 300000, .path = "/health"};
        struct probe p;

        probe_begin(&p, &plan, (struct in_addr){htonl(own)}, now_monotonic());
        return p;
}

/* Turns until there is a result; *server (-1: none) answers with text once it has heard something. */
static enum probe_result turn(struct probe *p, int listener, const char *text, char *ret_request, size_t size) {
        uint64_t end = now_monotonic() + 5000000;
        _cleanup_close_ int client = -1;
        enum probe_result result;

        for (;;) {
                struct pollfd fds[3] = {{.fd = -1}, {.fd = client < 0 ? listener : -1, .events = POLLIN},
                        {.fd = client, .events = POLLIN}};
                int timeout = -1;

                probe_prepare(p, &fds[0], &timeout, now_monotonic());
                (void) poll(fds, 3, timeout);
                if (fds[1].revents)
                        client = accept(listener, NULL, NULL);
                if (fds[2].revents && text) {
                        ssize_t n = read(client, ret_request, size - 1);

                        ret_request[n < 0 ? 0 : n] = 0;
                        for (const char *c = text; *c; c++)
                                assert_int_equal(send(client, c, 1, MSG_NOSIGNAL), 1);
                        client = close_fd(client);
                }
                result = probe_process(p, fds[0].revents, now_monotonic());
                if (result != PROBE_PENDING)
                        return result;
                assert_true(now_monotonic() < end);
        }
}

static void test_tcp(void **state) {
        char request[1024];
        uint16_t port;
        int listener = listen_at(INADDR_LOOPBACK, &port);
        struct probe p = begin(PROBE_TCP, port, 0);
        uint64_t next;

        assert_int_equal(turn(&p, listener, NULL, request, sizeof request), PROBE_GOOD);
        next = p.next;
        assert_int_equal(p.fd, -1);
        assert_int_equal(probe_process(&p, 0, next - 1), PROBE_PENDING);
        assert_int_equal(p.fd, -1); /* not before its time */
        (void) close(listener);
        p.next = now_monotonic();
        assert_int_equal(turn(&p, -1, NULL, request, sizeof request), PROBE_BAD);
}

/* A server that listens on the guest's own address only is found, too. */
static void test_own_address(void **state) {
        char request[1024];
        uint16_t port;
        int listener = listen_at(0x7f000102, &port);
        struct probe p = begin(PROBE_TCP, port, 0x7f000102), q = begin(PROBE_TCP, port, 0);

        assert_int_equal(turn(&p, listener, NULL, request, sizeof request), PROBE_GOOD);
        assert_int_equal(turn(&q, listener, NULL, request, sizeof request), PROBE_BAD);
        (void) close(listener);
}

static void test_http(void **state) {
        static const struct {
                const char *answer;
                enum probe_result result;
        } table[] = {
                {"HTTP/1.1 200 OK\r\n\r\nlong text that nobody reads", PROBE_GOOD},
                {"HTTP/1.0 399 x", PROBE_GOOD},
                {"HTTP/1.1 404 Not Found\r\n\r\n", PROBE_BAD},
                {"HTTP/1.1 199 x", PROBE_BAD},
                {"HTTP/1.1 500 x", PROBE_BAD},
                {"SSH-2.0-OpenSSH_9.2", PROBE_BAD},
                {"HTTP/1.1 2", PROBE_BAD},
                {"", PROBE_BAD},
        };
        char request[1024];
        uint16_t port;
        int listener = listen_at(INADDR_LOOPBACK, &port);

        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                struct probe p = begin(PROBE_HTTP, port, 0);

                if (turn(&p, listener, table[i].answer, request, sizeof request) != table[i].result)
                        fail_msg("'%s' should be %d", table[i].answer, table[i].result);
                assert_contains(request, "GET /health HTTP/1.1\r\n");
                assert_contains(request, "\r\n\r\n");
                assert_int_equal(p.fd, -1);
        }
        (void) close(listener);
}

/* One that takes the connection and says nothing is given up at its time. */
static void test_silent_server(void **state) {
        char request[1024];
        uint16_t port;
        int listener = listen_at(INADDR_LOOPBACK, &port);
        struct probe p = begin(PROBE_HTTP, port, 0);
        uint64_t start = now_monotonic();

        assert_int_equal(turn(&p, listener, NULL, request, sizeof request), PROBE_BAD);
        assert_true(now_monotonic() - start >= 300000);
        (void) close(listener);
}

static void test_message(void **state) {
        struct probe_plan plan = {.kind = PROBE_MESSAGE, .interval = 1000000, .timeout = 1000000};
        struct pollfd fd;
        struct probe p;
        int timeout = -1;

        probe_begin(&p, &plan, (struct in_addr){}, 5000000);
        probe_prepare(&p, &fd, &timeout, 5000000);
        assert_int_equal(fd.fd, -1);
        assert_in_range(timeout, 1000, 1001);
        assert_int_equal(probe_process(&p, 0, 5999999), PROBE_PENDING);
        p.notified = true;
        assert_int_equal(probe_process(&p, 0, 6000000), PROBE_GOOD);
        assert_int_equal(probe_process(&p, 0, 6000001), PROBE_PENDING);
        assert_int_equal(probe_process(&p, 0, 7000000), PROBE_BAD);
        probe_end(&p);
        timeout = -1;
        probe_prepare(&p, &fd, &timeout, 9000000);
        assert_int_equal(timeout, -1);
        assert_int_equal(probe_process(&p, 0, 9000000), PROBE_PENDING);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tcp),
                cmocka_unit_test(test_own_address),
                cmocka_unit_test(test_http),
                cmocka_unit_test(test_silent_server),
                cmocka_unit_test(test_message),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
