/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ACK for a guest's SYN-ACK, bit by bit; and that nothing else gets one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frame-sum.h"
#include "helpers/frame-ack.h"

/* A SYN-ACK as a Linux guest sent it: 10.0.2.15:80 to 10.0.2.2:59568, seq fc2a988b, ack 5071f137. */
static const uint8_t syn_ack[] = {0xa2, 0x79, 0x5a, 0xd5, 0xfb, 0x1e, 0x52, 0x54, 0x00, 0xb4, 0xa2, 0x75, 0x08, 0x00, 0x45, 0x00, 0x00, 0x30,
        0x00, 0x00, 0x40, 0x00, 0x40, 0x06, 0x22, 0xb8, 0x0a, 0x00, 0x02, 0x0f, 0x0a, 0x00, 0x02, 0x02, 0x00, 0x50, 0xe8, 0xb0, 0xfc, 0x2a,
        0x98, 0x8b, 0x50, 0x71, 0xf1, 0x37, 0x70, 0x12, 0xfa, 0xf0, 0xb1, 0xa8, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x01, 0x03, 0x03, 0x05};

static void test_ipv4(void **state) {
        static const uint8_t seq_ack[] = {0x50, 0x71, 0xf1, 0x37, 0xfc, 0x2a, 0x98, 0x8c};
        uint8_t ack[FRAME_ACK_MAX];

        assert_int_equal(frame_ack_of(syn_ack, sizeof syn_ack, ack), 54);
        assert_memory_equal(ack, syn_ack + 6, 6);
        assert_memory_equal(ack + 6, syn_ack, 6);
        assert_memory_equal(ack + 26, syn_ack + 30, 4);
        assert_memory_equal(ack + 30, syn_ack + 26, 4);
        assert_memory_equal(ack + 34, syn_ack + 36, 2);
        assert_memory_equal(ack + 36, syn_ack + 34, 2);
        assert_memory_equal(ack + 38, seq_ack, sizeof seq_ack);
        assert_int_equal(ack[47], 0x10);
        assert_int_equal(frame_sum(ack + 14, 20, 0), 0xffff);
        assert_int_equal(frame_sum(ack + 26, 28, 6 + 20), 0xffff);
}

static void test_ipv6(void **state) {
        uint8_t frame[14 + 40 + 20] = {0}, ack[FRAME_ACK_MAX];

        frame[12] = 0x86;
        frame[13] = 0xdd;
        frame[14] = 0x60;
        frame[19] = 20;
        frame[20] = 6;
        memset(frame + 22, 0x11, 16);
        memset(frame + 38, 0x22, 16);
        memset(frame + 58, 0xff, 4); /* the number after it is 0 */
        frame[67] = 0x12;
        assert_int_equal(frame_ack_of(frame, sizeof frame, ack), 74);
        assert_int_equal(ack[22], 0x22);
        assert_int_equal(ack[38], 0x11);
        assert_int_equal(ack[62] | ack[63] | ack[64] | ack[65], 0);
        assert_int_equal(frame_sum(ack + 22, 52, 6 + 20), 0xffff);
}

static void test_others(void **state) {
        static const uint8_t flags[] = {0x02, 0x10, 0x18, 0x14, 0x16, 0x13, 0x04, 0x11, 0x00};
        uint8_t frame[sizeof syn_ack], ack[FRAME_ACK_MAX];

        for (size_t i = 0; i < sizeof flags; i++) {
                memcpy(frame, syn_ack, sizeof frame);
                frame[47] = flags[i];
                assert_int_equal(frame_ack_of(frame, sizeof frame, ack), 0);
        }
        for (size_t len = 0; len < 54; len++)
                assert_int_equal(frame_ack_of(syn_ack, len, ack), 0);
        memcpy(frame, syn_ack, sizeof frame);
        frame[23] = 17; /* UDP */
        assert_int_equal(frame_ack_of(frame, sizeof frame, ack), 0);
        memcpy(frame, syn_ack, sizeof frame);
        frame[20] = 0x20; /* a fragment */
        assert_int_equal(frame_ack_of(frame, sizeof frame, ack), 0);
        memcpy(frame, syn_ack, sizeof frame);
        frame[14] = 0x4f; /* a header that leaves no room */
        assert_int_equal(frame_ack_of(frame, sizeof frame, ack), 0);
        frame[14] = 0x41;
        assert_int_equal(frame_ack_of(frame, sizeof frame, ack), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ipv4),
                cmocka_unit_test(test_ipv6),
                cmocka_unit_test(test_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
