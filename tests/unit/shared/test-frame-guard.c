/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which frames a guest with user networking may send, and that they come whole. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "helpers/frame-guard.h"

static size_t ipv4(uint8_t *frame, const char *to) {
        memset(frame, 0, 34);
        frame[12] = 0x08;
        frame[14] = 0x45;
        assert_int_equal(inet_pton(AF_INET, to, frame + 30), 1);
        return 34;
}

static size_t ipv6(uint8_t *frame, const char *to, uint8_t next, uint8_t type) {
        memset(frame, 0, 62);
        frame[12] = 0x86;
        frame[13] = 0xdd;
        frame[14] = 0x60;
        frame[20] = next;
        assert_int_equal(inet_pton(AF_INET6, to, frame + 38), 1);
        frame[54] = type;
        return 62;
}

static void test_ipv4(void **state) {
        static const char *const good[] = {"192.0.2.1", "10.0.2.2", "255.255.255.255", "169.253.0.1", "126.0.0.1", "128.0.0.1", "1.0.0.0"};
        static const char *const bad[] = {"127.0.0.1", "127.255.255.255", "127.0.0.53", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.0"};
        uint8_t frame[64];

        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
                assert_true(frame_may_leave(frame, ipv4(frame, good[i])));
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_false(frame_may_leave(frame, ipv4(frame, bad[i])));
        for (size_t len = 0; len < 34; len++) {
                (void) ipv4(frame, "192.0.2.1");
                assert_false(frame_may_leave(frame, len));
        }
        (void) ipv4(frame, "192.0.2.1");
        frame[14] = 0x65;
        assert_false(frame_may_leave(frame, 34));
}

static void test_ipv6(void **state) {
        static const char *const bad[] = {"::1", "::", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:192.0.2.1", "fe80::1", "febf::1"};
        uint8_t frame[64];

        assert_true(frame_may_leave(frame, ipv6(frame, "2001:db8::1", 6, 0)));
        assert_true(frame_may_leave(frame, ipv6(frame, "ff02::2", 58, 133)));
        assert_true(frame_may_leave(frame, ipv6(frame, "fe80::1", 58, 135)));
        assert_false(frame_may_leave(frame, ipv6(frame, "fe80::1", 58, 128)));
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_false(frame_may_leave(frame, ipv6(frame, bad[i], 6, 0)));
        assert_false(frame_may_leave(frame, ipv6(frame, "2001:db8::1", 6, 0) - 9));
}

static void test_types(void **state) {
        uint8_t frame[64] = {0};

        frame[12] = 0x08;
        frame[13] = 0x06;
        assert_true(frame_may_leave(frame, 42));
        frame[12] = 0x81; /* a VLAN tag */
        frame[13] = 0x00;
        assert_false(frame_may_leave(frame, 60));
}

static void put(int fd, const uint8_t *frame, size_t len, size_t at_once) {
        uint8_t buf[128];
        uint32_t size = htonl((uint32_t) len);

        memcpy(buf, &size, sizeof size);
        memcpy(buf + sizeof size, frame, len);
        for (size_t i = 0; i < len + sizeof size; i += at_once)
                assert_true(write(fd, buf + i, i + at_once > len + sizeof size ? len + sizeof size - i : at_once) > 0);
}

/* Frames in pieces and together, good and bad in turns: only the good ones arrive, whole and in order. */
static void test_stream(void **state) {
        int guest[2], passt[2];
        uint8_t frame[64], got[4096];
        size_t n_got = 0;
        ssize_t n;
        pid_t pid;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, guest), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, passt), 0);
        pid = fork();
        if (pid == 0) {
                (void) close(guest[0]);
                (void) close(passt[0]);
                frame_guard_run(guest[1], passt[1]);
                _exit(0);
        }
        (void) close(guest[1]);
        (void) close(passt[1]);
        for (unsigned i = 0; i < 20; i++) {
                put(guest[0], frame, ipv4(frame, "127.0.0.1"), 1 + i % 7);
                (void) ipv4(frame, "192.0.2.1");
                frame[0] = (uint8_t) i;
                put(guest[0], frame, 34, 1 + i % 5);
        }
        (void) close(guest[0]);
        while ((n = read(passt[0], got + n_got, sizeof got - n_got)) > 0)
                n_got += (size_t) n;
        assert_int_equal(n_got, 20 * 38);
        for (unsigned i = 0; i < 20; i++)
                assert_int_equal(got[i * 38 + 4], i);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        (void) close(passt[0]);
}

/* A length that no frame has ends the stream. */
static void test_no_frames(void **state) {
        int guest[2], passt[2];
        uint32_t size = htonl(FRAME_MAX + 1);

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, guest), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, passt), 0);
        assert_int_equal(write(guest[0], &size, sizeof size), sizeof size);
        frame_guard_run(guest[1], passt[1]); /* returns */
        for (unsigned i = 0; i < 2; i++) {
                (void) close(guest[i]);
                (void) close(passt[i]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ipv4),
                cmocka_unit_test(test_ipv6),
                cmocka_unit_test(test_types),
                cmocka_unit_test(test_stream),
                cmocka_unit_test(test_no_frames),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
