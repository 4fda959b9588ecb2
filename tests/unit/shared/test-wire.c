/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages with descriptors between two ends that do not trust each other. */
#include "test-files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

static int pair[2];

static int setup(void **state) {
        return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
}

static int teardown(void **state) {
        (void) close_fd(pair[0]);
        (void) close_fd(pair[1]);
        return 0;
}

static size_t open_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        size_t n = 0;

        while (readdir(dir))
                n++;
        (void) closedir(dir);
        return n;
}

static int receive_raw(const void *bytes, size_t len) {
        int fds[LAUNCH_FDS_MAX];
        json_t *message = (json_t *) 1;
        size_t n_fds = 77;
        int r;

        assert_int_equal(send(pair[0], bytes, len, 0), len);
        r = wire_recv(pair[1], &message, fds, &n_fds);
        if (r <= 0) {
                /* Untouched on failure. */
                assert_ptr_equal(message, (json_t *) 1);
                assert_int_equal(n_fds, 77);
        } else
                json_decref(message);
        return r;
}

static void test_round_trip_with_fds(void **state) {
        int sent[LAUNCH_FDS_MAX], got[LAUNCH_FDS_MAX];
        json_t *message;
        size_t n;

        for (size_t i = 0; i < LAUNCH_FDS_MAX; i++)
                sent[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        message = json_pack("{s:s, s:s}", "type", "launch", "text", "\xc3\xa9");
        assert_int_equal(wire_send(pair[0], message, sent, LAUNCH_FDS_MAX), 0);
        assert_int_equal(wire_send(pair[0], message, sent, LAUNCH_FDS_MAX + 1), -E2BIG);
        json_decref(message);
        assert_int_equal(wire_recv(pair[1], &message, got, &n), 1);
        assert_int_equal(n, LAUNCH_FDS_MAX);
        assert_string_equal(wire_type(message), "launch");
        json_decref(message);
        for (size_t i = 0; i < n; i++) {
                assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
                (void) close(got[i]);
                (void) close(sent[i]);
        }
}

static void test_hostile(void **state) {
        assert_int_equal(receive_raw("{\"type\":\"x\"}", 12), 1);
        assert_int_equal(receive_raw("{\"type\":1}", 10), -EBADMSG);
        assert_int_equal(receive_raw("{}", 2), -EBADMSG);
        assert_int_equal(receive_raw("[]", 2), -EBADMSG);
        assert_int_equal(receive_raw("x", 1), -EBADMSG);
        assert_int_equal(receive_raw("\0", 1), -EBADMSG);
        assert_int_equal(receive_raw("{\"type\":\"a\",\"type\":\"b\"}", 23), -EBADMSG);
        assert_int_equal(receive_raw("{\"type\":\"a\"} {}", 15), -EBADMSG);
        assert_int_equal(receive_raw("{\"type\":\"\xff\"}", 12), -EBADMSG);
}

/* Descriptors of a message that is refused do not stay. */
static void test_no_fd_leak(void **state) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int) * 2)];
        } control = {};
        struct iovec iov = {.iov_base = (char[]) {"nonsense"}, .iov_len = 8};
        struct msghdr mh = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        int fds[LAUNCH_FDS_MAX], two[2] = {0, 0};
        size_t before = open_fds(), n;
        json_t *message;

        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof two);
        memcpy(CMSG_DATA(&control.header), two, sizeof two);
        assert_int_equal(sendmsg(pair[0], &mh, 0), 8);
        assert_int_equal(wire_recv(pair[1], &message, fds, &n), -EBADMSG);
        assert_int_equal(open_fds(), before);
}

/* Who may have no more descriptors still gets the message, and answers it; those that found a place do not stay. */
static void test_no_place_for_fds(void **state) {
        int two[2] = {pair[0], pair[1]}, fds[LAUNCH_FDS_MAX];
        size_t before = open_fds(), n = 77;
        struct rlimit old, low;
        json_t *message = json_pack("{s:s}", "type", "console");

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        for (int room = 0; room < 2; room++) {
                int next = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
                json_t *got = NULL;

                (void) close(next);
                low = (struct rlimit){.rlim_cur = (rlim_t) (next + room), .rlim_max = old.rlim_max};
                assert_int_equal(wire_send(pair[0], message, two, 2), 0);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
                assert_int_equal(wire_recv(pair[1], &got, fds, &n), 1);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
                assert_int_equal(n, 0);
                assert_string_equal(wire_type(got), "console");
                json_decref(got);
        }
        json_decref(message);
        assert_int_equal(open_fds(), before);
}

static void test_too_long(void **state) {
        char *text = malloc(LAUNCH_MESSAGE_MAX + 1);
        json_t *message;

        memset(text, 'x', LAUNCH_MESSAGE_MAX);
        text[LAUNCH_MESSAGE_MAX] = 0;
        message = json_pack("{s:s, s:s}", "type", "t", "text", text);
        assert_int_equal(wire_send(pair[0], message, NULL, 0), -EMSGSIZE);
        json_decref(message);
        assert_int_equal(receive_raw(text, LAUNCH_MESSAGE_MAX + 1), -EBADMSG);
        free(text);
}

static void test_end_and_nothing(void **state) {
        int fds[LAUNCH_FDS_MAX];
        json_t *message;
        size_t n;

        assert_int_equal(wire_recv(pair[1], &message, fds, &n), -EAGAIN);
        pair[0] = close_fd(pair[0]);
        assert_int_equal(wire_recv(pair[1], &message, fds, &n), 0);
        assert_int_equal(wire_send_new(pair[1], json_pack("{s:s}", "type", "x")), -EPIPE);
        assert_int_equal(wire_send_new(pair[1], NULL), -ENOMEM);
}

static void test_full_socket_does_not_block(void **state) {
        int r = 0;

        for (size_t i = 0; i < 100000 && r == 0; i++)
                r = wire_send_new(pair[0], json_pack("{s:s}", "type", "x"));
        assert_int_equal(r, -EAGAIN);
}

static void test_connect(void **state) {
        _cleanup_close_ int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), fd = -1, server = -1;
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fds[LAUNCH_FDS_MAX];
        char path[200];
        json_t *hello;
        size_t n;

        (void) snprintf(sa.sun_path, sizeof sa.sun_path, "%s/s", test_dir);
        assert_int_equal(wire_connect(sa.sun_path), -ENOENT);
        assert_int_equal(bind(listener, (struct sockaddr *) &sa, sizeof sa), 0);
        assert_int_equal(wire_connect(sa.sun_path), -ECONNREFUSED);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(setenv("MCP_LAUNCH_SOCKET", sa.sun_path, 1), 0);
        fd = wire_connect(NULL);
        assert_true(fd >= 0);
        server = accept(listener, NULL, NULL);
        assert_int_equal(wire_recv(server, &hello, fds, &n), 1);
        assert_string_equal(wire_type(hello), "hello");
        assert_int_equal(json_integer_value(json_object_get(hello, "version")), LAUNCH_WIRE_VERSION);
        json_decref(hello);

        memset(path, 'p', sizeof path);
        path[sizeof path - 1] = 0;
        assert_int_equal(wire_connect(path), -ENAMETOOLONG);
}

/* A full backlog is told at once to who does not want to wait. */
static void test_open_does_not_block(void **state) {
        _cleanup_close_ int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fds[16], n = 0, r = 0;

        (void) snprintf(sa.sun_path, sizeof sa.sun_path, "%s/s", test_dir);
        assert_int_equal(bind(listener, (struct sockaddr *) &sa, sizeof sa), 0);
        assert_int_equal(listen(listener, 1), 0);
        while (n < 16 && (r = wire_open(sa.sun_path, SOCK_NONBLOCK)) >= 0)
                fds[n++] = r;
        assert_int_equal(r, -EAGAIN);
        while (n > 0)
                (void) close(fds[--n]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_round_trip_with_fds),
                CASE(test_hostile),
                CASE(test_no_fd_leak),
                CASE(test_no_place_for_fds),
                CASE(test_too_long),
                CASE(test_end_and_nothing),
                CASE(test_full_socket_does_not_block),
                FILES_TEST(test_connect),
                FILES_TEST(test_open_does_not_block),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
