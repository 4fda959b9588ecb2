/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which frames a guest with user networking may send. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "helpers/frame-guard.h"

#define NOW 1000000000ULL

static FrameGuard guard;

static size_t ipv4(uint8_t *frame, const char *from, const char *to, uint8_t next) {
        memset(frame, 0, 64);
        frame[12] = 0x08;
        frame[14] = 0x45;
        frame[23] = next;
        assert_int_equal(inet_pton(AF_INET, from, frame + 26), 1);
        assert_int_equal(inet_pton(AF_INET, to, frame + 30), 1);
        return 54;
}

static size_t ipv6(uint8_t *frame, const char *from, const char *to, uint8_t next) {
        memset(frame, 0, 96);
        frame[12] = 0x86;
        frame[13] = 0xdd;
        frame[14] = 0x60;
        frame[20] = next;
        assert_int_equal(inet_pton(AF_INET6, from, frame + 22), 1);
        assert_int_equal(inet_pton(AF_INET6, to, frame + 38), 1);
        return 74;
}

static void ports(uint8_t *payload, uint16_t from, uint16_t to) {
        payload[0] = (uint8_t) (from >> 8);
        payload[1] = (uint8_t) from;
        payload[2] = (uint8_t) (to >> 8);
        payload[3] = (uint8_t) to;
}

static bool allows(const uint8_t *frame, size_t len) {
        return frame_guard_allows(&guard, frame, len, NOW);
}

static void test_ipv4(void **state) {
        static const char *const good[] = {"192.0.2.1", "10.0.2.3", "255.255.255.255", "169.253.0.1", "126.0.0.1", "128.0.0.1", "1.0.0.0"};
        static const char *const bad[] = {
                "127.0.0.1", "127.255.255.255", "127.0.0.53", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.0"};
        uint8_t frame[64];

        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
                assert_true(allows(frame, ipv4(frame, "10.0.2.15", good[i], 0)));
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_false(allows(frame, ipv4(frame, "10.0.2.15", bad[i], 0)));
        for (size_t len = 0; len < 34; len++) {
                (void) ipv4(frame, "10.0.2.15", "192.0.2.1", 0);
                assert_false(allows(frame, len));
        }
        (void) ipv4(frame, "10.0.2.15", "192.0.2.1", 0);
        frame[14] = 0x65;
        assert_false(allows(frame, 54));
}

static void test_ipv6(void **state) {
        static const char *const bad[] = {"::1", "::", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:192.0.2.1", "fe80::1", "febf::1"};
        uint8_t frame[96];

        assert_true(allows(frame, ipv6(frame, "2001:db8::2", "2001:db8::1", 6)));
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_false(allows(frame, ipv6(frame, "2001:db8::2", bad[i], 0)));
        assert_false(allows(frame, ipv6(frame, "2001:db8::2", "2001:db8::1", 6) - 21));
}

/* What a link needs goes to its neighbours; a ping does not. */
static void test_neighbours(void **state) {
        uint8_t frame[96];
        size_t len = ipv6(frame, "fe80::2", "fe80::1", 58);

        for (unsigned type = 0; type < 256; type++) {
                frame[54] = (uint8_t) type;
                assert_int_equal(allows(frame, len), type >= 133 && type <= 136);
        }
        len = ipv4(frame, "10.0.2.15", "10.0.2.2", 1);
        frame[34] = 8;
        assert_false(allows(frame, len));
        /* In IPv4 that number is no neighbour discovery. */
        len = ipv4(frame, "10.0.2.15", "10.0.2.2", 58);
        frame[34] = 135;
        assert_false(allows(frame, len));
}

static void test_types(void **state) {
        uint8_t frame[64] = {0};

        frame[12] = 0x08;
        frame[13] = 0x06;
        assert_true(allows(frame, 42));
        frame[12] = 0x81; /* a VLAN tag */
        frame[13] = 0x00;
        assert_false(allows(frame, 60));
}

/* To the host no connection begins; those that began there are answered. */
static void test_tcp(void **state) {
        static const struct {
                uint8_t flags;
                bool allowed;
        } cases[] = {{0x02, false}, {0x12, true}, {0x10, true}, {0x18, true}, {0x11, true}, {0x04, true}, {0xc2, false}, {0x06, false}};
        uint8_t frame[96];
        size_t len;

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                len = ipv4(frame, "10.0.2.15", "10.0.2.2", 6);
                frame[34 + 13] = cases[i].flags;
                assert_int_equal(allows(frame, len), cases[i].allowed);
                frame[20] = 0x20; /* a fragment hides what comes */
                assert_false(allows(frame, len));
                len = ipv6(frame, "fe80::2", "fe80::1", 6);
                frame[54 + 13] = cases[i].flags;
                assert_int_equal(allows(frame, len), cases[i].allowed);
                assert_false(allows(frame, len - 7));
        }
        /* Options in the IP header move the flags. */
        (void) ipv4(frame, "10.0.2.15", "10.0.2.2", 6);
        frame[14] = 0x46;
        frame[34 + 13] = 0x10;
        frame[38 + 13] = 0x02;
        assert_false(allows(frame, 58));
        frame[14] = 0x44;
        assert_false(allows(frame, 58));
}

static void answer(bool v6, uint16_t from, uint16_t to, uint64_t now, bool expected) {
        uint8_t frame[96];
        size_t len = v6 ? ipv6(frame, "fe80::2", "fe80::1", 17) : ipv4(frame, "10.0.2.15", "10.0.2.2", 17);

        ports(frame + (v6 ? 54 : 34), from, to);
        assert_int_equal(frame_guard_allows(&guard, frame, len, now), expected);
}

/* Datagrams go back to where they came from, for a while. */
static void test_udp(void **state) {
        uint8_t frame[96];
        size_t len = ipv4(frame, "10.0.2.2", "10.0.2.15", 17);

        guard = (FrameGuard){};
        answer(false, 53, 40000, NOW, false);
        answer(false, 68, 67, NOW, true);
        answer(true, 546, 547, NOW, true);
        answer(true, 68, 67, NOW, false);
        ports(frame + 34, 40000, 53);
        frame_guard_note(&guard, frame, len, NOW);
        answer(false, 53, 40000, NOW, true);
        answer(true, 53, 40000, NOW, false);
        answer(false, 54, 40000, NOW, false);
        answer(false, 53, 40001, NOW, false);
        answer(false, 53, 40000, NOW + FRAME_UDP_USEC - 1, true);
        answer(false, 53, 40000, NOW + FRAME_UDP_USEC, false);

        len = ipv6(frame, "fe80::1", "fe80::2", 17);
        ports(frame + 54, 40000, 53);
        frame_guard_note(&guard, frame, len, NOW);
        answer(true, 53, 40000, NOW, true);

        /* From elsewhere is nothing to be noted. */
        len = ipv4(frame, "192.0.2.1", "10.0.2.15", 17);
        ports(frame + 34, 40005, 53);
        frame_guard_note(&guard, frame, len, NOW);
        answer(false, 53, 40005, NOW, false);
}

/* The newest are kept. */
static void test_udp_many(void **state) {
        uint8_t frame[96];
        size_t len = ipv4(frame, "10.0.2.2", "10.0.2.15", 17);

        guard = (FrameGuard){};
        for (unsigned i = 0; i < FRAME_UDP_PEERS + 10; i++) {
                ports(frame + 34, (uint16_t) (1000 + i), 53);
                frame_guard_note(&guard, frame, len, NOW + i);
                frame_guard_note(&guard, frame, len, NOW + i); /* twice is one */
        }
        answer(false, 53, 1009, NOW, false);
        answer(false, 53, 1010, NOW, true);
        answer(false, 53, 1000 + FRAME_UDP_PEERS + 9, NOW, true);
}

static void test_tells(void **state) {
        uint8_t frame[96];
        size_t len = ipv6(frame, "fe80::2", "ff02::1:ff00:1", 58);

        frame[54] = 135;
        assert_int_equal(frame_tells(frame, len), FRAME_TELLS_LINK_LOCAL);
        frame[54] = 128;
        assert_int_equal(frame_tells(frame, len), FRAME_TELLS_NOTHING);
        len = ipv6(frame, "2001:db8::2", "fe80::1", 58);
        frame[54] = 136;
        assert_int_equal(frame_tells(frame, len), FRAME_TELLS_GLOBAL);
        len = ipv6(frame, "::", "ff02::1:ff00:1", 58); /* is this address taken? */
        frame[54] = 135;
        assert_int_equal(frame_tells(frame, len), FRAME_TELLS_NOTHING);
        frame[12] = 0x08;
        frame[13] = 0x06;
        assert_int_equal(frame_tells(frame, 42), FRAME_TELLS_ARP);
        assert_int_equal(frame_tells(frame, 13), FRAME_TELLS_NOTHING);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ipv4),
                cmocka_unit_test(test_ipv6),
                cmocka_unit_test(test_neighbours),
                cmocka_unit_test(test_types),
                cmocka_unit_test(test_tells),
                cmocka_unit_test(test_tcp),
                cmocka_unit_test(test_udp),
                cmocka_unit_test(test_udp_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
