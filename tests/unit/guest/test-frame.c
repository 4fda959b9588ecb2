/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames: whole, in pieces, too long, and of a host that sends nonsense. */
#include "unit.h"

#include <stdio.h>

#include "guest/frame.h"

static void test_encode(void **state) {
        uint8_t buf[FRAME_BYTES_MAX + 1], payload[GUEST_FRAME_MAX + 1] = {};

        assert_int_equal(frame_encode(buf, sizeof(buf), GUEST_STOP, NULL, 0), 4);
        assert_memory_equal(buf, "\x10\0\0\0", 4);
        assert_int_equal(frame_encode(buf, 7, 0x1234, "abc", 3), 7);
        assert_memory_equal(buf, "\x34\x12\x03\0abc", 7);
        assert_int_equal(frame_encode(buf, 6, 0x1234, "abc", 3), 0);
        assert_int_equal(frame_encode(buf, 0, 1, NULL, 0), 0);
        assert_int_equal(frame_encode(buf, sizeof(buf), 1, payload, GUEST_FRAME_MAX), FRAME_BYTES_MAX);
        assert_memory_equal(buf, "\x01\0\0\x10", 4);
        assert_int_equal(frame_encode(buf, sizeof(buf), 1, payload, GUEST_FRAME_MAX + 1), 0);
}

static void test_numbers(void **state) {
        uint8_t bytes[4];

        frame_put_u32(bytes, 0xfedcba98);
        assert_memory_equal(bytes, "\x98\xba\xdc\xfe", 4);
        assert_int_equal(frame_get_u32(bytes), 0xfedcba98);
}

/* Feeds all of it in pieces of at most n bytes and collects what comes out as "TYPE:PAYLOAD;". */
static void collect(const void *data, size_t len, size_t n, char *out, size_t size) {
        static struct frame_reader reader;
        const uint8_t *p = data;
        struct frame frame;

        reader = (struct frame_reader){};
        *out = 0;
        while (len > 0) {
                size_t taken = frame_reader_feed(&reader, p, len < n ? len : n);

                assert_true(taken > 0);
                p += taken;
                len -= taken;
                while (frame_reader_next(&reader, &frame)) {
                        size_t used = strlen(out);

                        (void) snprintf(out + used, size - used, "%u:%.*s;", frame.type,
                                frame.length > 20 ? 20 : (int) frame.length, (const char *) frame.payload);
                }
        }
}

static const size_t piece_sizes[] = {1, 2, 3, 4, 5, 7, 4095, 4096, 4100, 4101, 100000};
#define N_PIECE_SIZES (sizeof(piece_sizes) / sizeof(piece_sizes[0]))

static void test_in_pieces(void **state) {
        static const char data[] = "\x10\0\0\0"
                                   "\x11\0\x03\0abc"
                                   "\x63\0\x01\0x"
                                   "\x10\0\0\0";

        for (size_t i = 0; i < N_PIECE_SIZES; i++) {
                char out[256];

                collect(data, sizeof(data) - 1, piece_sizes[i], out, sizeof(out));
                assert_string_equal(out, "16:;17:abc;99:x;16:;");
        }
}

static void test_cut(void **state) {
        char out[256];

        collect("\x11\0\x04\0abc", 7, 7, out, sizeof(out));
        assert_string_equal(out, "");
        collect("\x11\0\x04", 3, 3, out, sizeof(out));
        assert_string_equal(out, "");
}

/* What is too long is skipped, whatever frames its payload looks like, and what follows is read. */
static void test_overlong(void **state) {
        static const unsigned lengths[] = {GUEST_FRAME_MAX + 1, 5000, 2 * FRAME_BYTES_MAX, UINT16_MAX};
        static uint8_t data[4 + UINT16_MAX + 7];

        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
                unsigned n = lengths[l];

                memset(data, 0, sizeof(data));
                data[0] = GUEST_STOP;
                data[2] = (uint8_t) n;
                data[3] = (uint8_t) (n >> 8);
                for (unsigned i = 0; i + 4 <= n; i += 4)
                        data[4 + i] = GUEST_STOP;
                memcpy(data + 4 + n, "\x11\0\x03\0abc", 7);
                for (size_t i = 0; i < N_PIECE_SIZES; i++) {
                        char out[64];

                        collect(data, 4 + n + 7, piece_sizes[i], out, sizeof(out));
                        assert_string_equal(out, "17:abc;");
                }
        }
}

static void test_longest(void **state) {
        static uint8_t data[2 * FRAME_BYTES_MAX], payload[GUEST_FRAME_MAX];
        char out[64];

        memset(payload, 'p', sizeof(payload));
        (void) frame_encode(data, FRAME_BYTES_MAX, 17, payload, sizeof(payload));
        (void) frame_encode(data + FRAME_BYTES_MAX, FRAME_BYTES_MAX, 18, payload, sizeof(payload));
        for (size_t i = 0; i < N_PIECE_SIZES; i++) {
                collect(data, sizeof(data), piece_sizes[i], out, sizeof(out));
                assert_string_equal(out, "17:pppppppppppppppppppp;18:pppppppppppppppppppp;");
        }
}

/* A reader that nobody fetches from takes no more than fits. */
static void test_full(void **state) {
        static struct frame_reader reader;
        static uint8_t data[FRAME_BYTES_MAX + 1];
        struct frame frame;
        size_t n = 0;

        reader = (struct frame_reader){};
        assert_int_equal(frame_reader_feed(&reader, data, sizeof(data)), FRAME_BYTES_MAX);
        assert_int_equal(frame_reader_feed(&reader, data, sizeof(data)), 0);
        while (frame_reader_next(&reader, &frame))
                n++;
        assert_int_equal(n, FRAME_BYTES_MAX / 4);
        assert_int_equal(frame_reader_feed(&reader, data, sizeof(data)), FRAME_BYTES_MAX);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_encode),
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_in_pieces),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_overlong),
                cmocka_unit_test(test_longest),
                cmocka_unit_test(test_full),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
