/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames of the guest, well-formed in pieces of any size and hostile ones. */
#include "unit.h"

#include <errno.h>

#include "monitor/frames.h"

static char seen[256];
static size_t error_len;

static void note(void *userdata, const struct frame *f) {
        char one[64];

        (void) snprintf(one, sizeof one, "%u:%u:%u:%u ", (unsigned) f->type, f->version, f->how, f->status);
        if (strlen(seen) + strlen(one) < sizeof seen)
                strcat(seen, one);
        if (f->type == GUEST_ERROR)
                error_len = f->text_len;
}

static const uint8_t stream[] = {
        1, 0, 4, 0, 1, 0, 0, 0,             /* HELLO 1 */
        2, 0, 0, 0,                         /* READY */
        4, 0, 2, 0, 'h', 'i',               /* ERROR */
        3, 0, 8, 0, 1, 0, 0, 0, 9, 0, 0, 0, /* EXIT by signal 9 */
};
static const char expected[] = "1:1:0:0 2:0:0:0 4:0:0:0 3:0:1:9 ";

static void test_any_pieces(void **state) {
        for (size_t piece = 1; piece <= sizeof stream; piece++) {
                struct frames frames = {};

                seen[0] = 0;
                for (size_t i = 0; i < sizeof stream; i += piece)
                        assert_int_equal(frames_feed(&frames,
                                                 stream + i,
                                                 sizeof stream - i < piece ? sizeof stream - i : piece,
                                                 note,
                                                 NULL),
                                0);
                assert_string_equal(seen, expected);
                assert_int_equal(error_len, 2);
        }
}

static void test_hostile(void **state) {
        static const struct {
                size_t len;
                uint8_t bytes[16];
        } table[] = {
                {4, {0, 0, 0, 0}},                                /* no type */
                {4, {6, 0, 0, 0}},                                /* unknown type */
                {4, {5, 0, 0, 0}},                                /* PROBE of nothing */
                {12, {5, 0, 8, 0, 2, 0, 0, 0, 1, 0, 0, 0}},       /* of what is no probe */
                {12, {5, 0, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0}},       /* neither good nor bad */
                {16, {5, 0, 12, 0, 1, 0, 0, 0, 1, 0, 0, 0}},      /* with something more */
                {4, {16, 0, 0, 0}},                               /* the host's own */
                {4, {4, 0, 1, 16}},                               /* longer than GUEST_FRAME_MAX by one */
                {4, {4, 0, 255, 255}},                            /* by much */
                {4, {1, 0, 0, 0}},                                /* HELLO without version */
                {8, {1, 0, 4, 0, 0, 0, 0, 0}},                    /* version 0 */
                {5, {2, 0, 1, 0, 0}},                             /* READY with something */
                {8, {3, 0, 4, 0, 0, 0, 0, 0}},                    /* short EXIT */
                {12, {3, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0}},       /* neither exit nor signal */
                {12, {3, 0, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0}},       /* status 256 */
                {12, {3, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0}},       /* signal 0 */
        };

        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                struct frames frames = {};

                seen[0] = 0;
                assert_int_equal(frames_feed(&frames, table[i].bytes, table[i].len, note, NULL), -EBADMSG);
                assert_string_equal(seen, "");
        }
}

static void note_probe(void *userdata, const struct frame *frame) {
        *(struct frame *) userdata = *frame;
}

static void test_probe(void **state) {
        static const uint8_t bytes[] = {5, 0, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0};
        struct frames frames = {};
        struct frame frame = {};

        assert_int_equal(frames_feed(&frames, bytes, sizeof bytes, note_probe, &frame), 0);
        assert_int_equal(frame.type, GUEST_PROBE);
        assert_int_equal(frame.probe, GUEST_PROBE_HEALTH);
        assert_true(frame.good);
}

static void test_longest(void **state) {
        static uint8_t buf[4 + GUEST_FRAME_MAX] = {4, 0, GUEST_FRAME_MAX & 255, GUEST_FRAME_MAX >> 8};
        struct frames frames = {};

        assert_int_equal(frames_feed(&frames, buf, sizeof buf, note, NULL), 0);
        assert_int_equal(error_len, GUEST_FRAME_MAX);
}

static void test_format(void **state) {
        uint8_t buf[FRAME_OUT_MAX];

        assert_int_equal(frame_format(buf, GUEST_STOP, 0), 4);
        assert_memory_equal(buf, "\x10\0\0\0", 4);
        assert_int_equal(frame_format(buf, GUEST_SIGNAL, 0x0102), 8);
        assert_memory_equal(buf, "\x11\0\x04\0\x02\x01\0\0", 8);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_any_pieces),
                cmocka_unit_test(test_hostile),
                cmocka_unit_test(test_probe),
                cmocka_unit_test(test_longest),
                cmocka_unit_test(test_format),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
