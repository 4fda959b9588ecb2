/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QMP client against good, slow and hostile peers on a socket pair. */
#include "unit.h"

#include "../../soak.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor/line-buffer.h"
#include "qmp-peer.h"

static void turn(void) {
        while (sd_event_run(t.event, 1000) > 0)
                ;
}

/* Sends all, with the client reading meanwhile; stops when the client has gone. */
static void say_bytes(const char *p, size_t len, size_t piece) {
        while (len > 0 && t.gone == 0) {
                ssize_t n = send(t.peer, p, len < piece ? len : piece, MSG_NOSIGNAL);

                if (n > 0) {
                        p += n;
                        len -= (size_t) n;
                }
                if (n < 0 || piece == 1)
                        turn();
        }
        turn();
}

static void say(const char *text) {
        say_bytes(text, strlen(text), SIZE_MAX);
}

static void expect(const char *text) {
        char buf[512] = "";

        turn();
        assert_true(recv(t.peer, buf, sizeof buf - 1, 0) > 0);
        assert_string_equal(buf, text);
}

static void greet(void) {
        say(GREETING);
        expect("{\"execute\":\"qmp_capabilities\",\"id\":1}\n");
        say("{\"return\": {}, \"id\": 1}\r\n");
        assert_int_equal(t.ready, 1);
}

static void test_greeting(void **state) {
        assert_int_equal(qmp_execute(t.qmp, "stop", NULL, on_reply, NULL), -ENOTCONN);
        greet();
        assert_true(qmp_is_ready(t.qmp));
}

static void test_command_and_error(void **state) {
        greet();
        assert_int_equal(qmp_execute(t.qmp, "set-action", json_pack("{s:s}", "reboot", "reset"), on_reply, NULL), 0);
        expect("{\"execute\":\"set-action\",\"id\":2,\"arguments\":{\"reboot\":\"reset\"}}\n");
        say("{\"return\": {}, \"id\": 2}\n");
        assert_int_equal(t.replies, 1);
        assert_int_equal(t.reply_error, 0);
        assert_int_equal(qmp_execute(t.qmp, "cont", NULL, on_reply, NULL), 0);
        say("{\"id\": 3, \"error\": {\"class\": \"GenericError\", \"desc\": \"no\\u001b way\"}}\n");
        assert_int_equal(t.replies, 2);
        assert_int_equal(t.reply_error, -EREMOTEIO);
        assert_string_equal(t.reply_text, "no? way");
}

static void test_replies_out_of_order_and_wrong_ids(void **state) {
        greet();
        assert_int_equal(qmp_execute(t.qmp, "a", NULL, on_reply, NULL), 0);
        assert_int_equal(qmp_execute(t.qmp, "b", NULL, on_reply, NULL), 0);
        say("{\"return\": {}, \"id\": 77}\n{\"return\": {}, \"id\": 0}\n{\"return\": {}, \"id\": -1}\n"
            "{\"return\": {}, \"id\": \"2\"}\n{\"return\": {}}\n{\"return\": {}, \"id\": 1}\n{}\n");
        assert_int_equal(t.replies, 0);
        say("{\"return\": {}, \"id\": 3}\n{\"return\": {}, \"id\": 2}\n{\"return\": {}, \"id\": 2}\n");
        assert_int_equal(t.replies, 2);
        assert_int_equal(t.gone, 0);
}

/* Reads what there is, up to a descriptor's beginning; the descriptor that came with it, or -1. */
static int hear(char *buf, size_t size, ssize_t *ret_n) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = {.iov_base = buf, .iov_len = size - 1};
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        int fd = -1;

        *ret_n = recvmsg(t.peer, &message, MSG_CMSG_CLOEXEC);
        buf[*ret_n > 0 ? *ret_n : 0] = 0;
        if (*ret_n > 0 && CMSG_FIRSTHDR(&message))
                memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        return fd;
}

static int a_pipe(int *ret_end) {
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        *ret_end = ends[0];
        return ends[1];
}

/* Whether nobody has the other end of the pipe any more; closes this one. */
static bool is_over(int end) {
        char byte;
        bool over = read(end, &byte, 1) == 0;

        (void) close(end);
        return over;
}

/* QEMU reads byte by byte and keeps the newest descriptor: it must come with its own command, not before. */
static void test_descriptor(void **state) {
        int end, none, fd, got = -1, size = 1;
        char line[2048], byte[2];
        size_t len = 0;
        ssize_t n;

        assert_int_equal(qmp_execute_fd(t.qmp, "getfd", NULL, a_pipe(&none), on_reply, NULL), -ENOTCONN);
        assert_true(is_over(none));
        greet();
        assert_int_equal(setsockopt(t.ours, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0); /* commands wait */
        memset(line, 'x', 1900);
        line[1900] = 0;
        for (unsigned i = 0; i < QMP_PENDING_MAX - 2; i++)
                assert_int_equal(qmp_execute(t.qmp, "cont", json_pack("{s:s}", "x", line), NULL, NULL), 0);
        assert_int_equal(qmp_execute_fd(t.qmp, "getfd", NULL, a_pipe(&end), NULL, NULL), 0);
        do {
                fd = hear(byte, sizeof byte, &n);
                if (n <= 0) {
                        turn();
                        fd = hear(byte, sizeof byte, &n);
                }
                assert_int_equal(n, 1);
                if (fd >= 0) {
                        assert_int_equal(got, -1);
                        assert_int_equal(len, 0);
                        got = fd;
                }
                assert_true(len < sizeof line - 1);
                line[len++] = byte[0];
                line[len] = 0;
                if (byte[0] == '\n')
                        len = 0;
        } while (got < 0 || byte[0] != '\n');
        assert_non_null(strstr(line, "{\"execute\":\"getfd\""));
        (void) close(got);
        assert_true(is_over(end)); /* there was no other copy */
}

/* A peer that reads nothing: what waits is one descriptor, and goes with the connection. */
static void test_descriptor_waits(void **state) {
        int ends[QMP_PENDING_MAX], size = 1, r = 0;
        char text[4096];
        size_t n = 0;

        assert_int_equal(setsockopt(t.ours, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
        greet();
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = 0;
        while (r >= 0 && n < QMP_PENDING_MAX - 1)
                r = qmp_execute_fd(t.qmp, "getfd", json_pack("{s:s}", "fdname", text), a_pipe(&ends[n++]), NULL, NULL);
        assert_int_equal(r, -EBUSY);
        assert_true(n > 1);
        assert_true(is_over(ends[--n]));
        t.peer = close_fd(t.peer);
        turn();
        assert_int_equal(t.gone, 1);
        while (n > 0)
                assert_true(is_over(ends[--n]));
}

static void test_one_byte_at_a_time(void **state) {
        static const char text[] = GREETING "{\"return\": {}, \"id\": 1}\r\n{\"event\": \"STOP\"}\r\n";

        say_bytes(text, sizeof text - 1, 1);
        assert_int_equal(t.ready, 1);
        assert_string_equal(t.last_event, "STOP");
}

static void test_many_events(void **state) {
        static const char event[] = "{\"timestamp\": {\"seconds\": 1}, \"event\": \"BALLOON_CHANGE\", \"data\": {}}\r\n";
        size_t thousands = is_soak() ? 1000 : 100;
        char *block = malloc(1000 * (sizeof event - 1));

        greet();
        for (size_t i = 0; i < 1000; i++)
                memcpy(block + i * (sizeof event - 1), event, sizeof event - 1);
        for (size_t i = 0; i < thousands; i++)
                say_bytes(block, 1000 * (sizeof event - 1), SIZE_MAX);
        free(block);
        assert_int_equal(t.events, 1000 * thousands);
        assert_int_equal(t.gone, 0);
}

static void test_endless_line(void **state) {
        char *block = malloc(1 << 20);

        memset(block, ' ', 1 << 20);
        greet();
        assert_int_equal(qmp_execute(t.qmp, "a", NULL, on_reply, NULL), 0);
        for (size_t i = 0; i < 100 && t.gone == 0; i++)
                say_bytes(block, 1 << 20, SIZE_MAX);
        free(block);
        assert_int_equal(t.gone, 1);
        assert_int_equal(t.gone_error, -EMSGSIZE);
        assert_int_equal(t.replies, 1);
        assert_int_equal(t.reply_error, -ECONNRESET);
        assert_int_equal(qmp_execute(t.qmp, "b", NULL, on_reply, NULL), -ENOTCONN);
}

static void test_longest_line(void **state) {
        char *line = malloc(QMP_LINE_MAX + 1);

        memset(line, ' ', QMP_LINE_MAX);
        memcpy(line, "{\"event\": \"LONG\"}", 17);
        line[QMP_LINE_MAX] = '\n';
        greet();
        say_bytes(line, QMP_LINE_MAX + 1, SIZE_MAX);
        free(line);
        assert_string_equal(t.last_event, "LONG");
        assert_int_equal(t.gone, 0);
}

static void gone_after(const char *text, int error) {
        say(text);
        assert_int_equal(t.gone, 1);
        assert_int_equal(t.gone_error, error);
        assert_int_equal(t.ready, 0);
}

static void test_no_json(void **state) {
        gone_after("SSH-2.0-OpenSSH\r\n", -EBADMSG);
}

static void test_no_greeting(void **state) {
        gone_after("{\"return\": {}, \"id\": 1}\r\n", -EBADMSG);
}

static void test_deep_json(void **state) {
        static char deep[100001];

        memset(deep, '[', 100000);
        deep[100000 - 1] = '\n';
        gone_after(deep, -EBADMSG);
}

static void test_capabilities_refused(void **state) {
        gone_after(GREETING "{\"error\": {\"desc\": \"no\"}, \"id\": 1}\n", -EBADMSG);
}

static void test_close_fails_pending_once(void **state) {
        greet();
        for (unsigned i = 0; i < QMP_PENDING_MAX; i++)
                assert_int_equal(qmp_execute(t.qmp, "a", NULL, on_reply, NULL), 0);
        assert_int_equal(qmp_execute(t.qmp, "a", NULL, on_reply, NULL), -EBUSY);
        t.peer = close_fd(t.peer);
        turn();
        qmp_drain(t.qmp);
        assert_int_equal(t.replies, QMP_PENDING_MAX);
        assert_int_equal(t.gone, 1);
        assert_int_equal(t.gone_error, -ECONNRESET);
}

static void test_drain_reads_last_words(void **state) {
        greet();
        assert_true(send(t.peer, "{\"event\": \"SHUTDOWN\"}\n", 22, 0) == 22);
        t.peer = close_fd(t.peer);
        qmp_drain(t.qmp);
        assert_string_equal(t.last_event, "SHUTDOWN");
        assert_int_equal(t.gone, 1);
}

static void test_line_buffer(void **state) {
        struct line_buffer b = {};
        const char *line;
        size_t len;

        assert_int_equal(line_buffer_add(&b, "one\ntw", 6, 10), 0);
        line = line_buffer_next(&b, &len);
        assert_memory_equal(line, "one", len);
        assert_null(line_buffer_next(&b, &len));
        assert_int_equal(line_buffer_add(&b, "o67890123\n", 10, 10), -EMSGSIZE);
        assert_int_equal(line_buffer_add(&b, "o67890\n\n", 8, 10), 0);
        line = line_buffer_next(&b, &len);
        assert_int_equal(len, 8);
        assert_memory_equal(line, "two67890", 8);
        assert_non_null(line_buffer_next(&b, &len));
        assert_int_equal(len, 0);
        assert_null(line_buffer_next(&b, &len));
        /* What is empty holds no memory. */
        assert_null(b.data);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_greeting),
                CASE(test_command_and_error),
                CASE(test_replies_out_of_order_and_wrong_ids),
                CASE(test_descriptor),
                CASE(test_descriptor_waits),
                CASE(test_one_byte_at_a_time),
                CASE(test_many_events),
                CASE(test_endless_line),
                CASE(test_longest_line),
                CASE(test_no_json),
                CASE(test_no_greeting),
                CASE(test_deep_json),
                CASE(test_capabilities_refused),
                CASE(test_close_fails_pending_once),
                CASE(test_drain_reads_last_words),
                cmocka_unit_test(test_line_buffer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
