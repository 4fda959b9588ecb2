/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guest output into lines: ends, cuts, characters that must stay whole, pieces of any size. */
#include "unit.h"

#include <stdlib.h>

#include "monitor/lines.h"
#include "monitor/text.h"

static struct {
        size_t n, bytes;
        char last[LOG_TEXT_MAX + 1];
        char all[256];
} got;

static void take(void *userdata, char stream, const char *text, size_t len) {
        assert_true(len <= LOG_TEXT_MAX);
        /* No line begins within a character. */
        assert_false(len > 0 && (text[0] & 0xc0) == 0x80);
        got.n++;
        got.bytes += len;
        memcpy(got.last, text, len);
        got.last[len] = 0;
        if (strlen(got.all) + len + 2 < sizeof got.all) {
                size_t used = strlen(got.all);

                (void) snprintf(got.all + used, sizeof got.all - used, "%.*s|", (int) len, text);
        }
}

static void feed(struct lines *l, const char *text) {
        lines_feed(l, text, strlen(text), take, NULL);
}

static void test_ends(void **state) {
        struct lines l = {.stream = 'k'};

        memset(&got, 0, sizeof got);
        feed(&l, "one\r\ntwo\n\nth");
        assert_string_equal(got.all, "one|two||");
        feed(&l, "ree\n\r\r\n");
        assert_string_equal(got.all, "one|two||three||");
        feed(&l, "login: ");
        assert_int_equal(got.n, 5);
        lines_flush(&l, take, NULL);
        assert_string_equal(got.last, "login: ");
        lines_flush(&l, take, NULL);
        assert_int_equal(got.n, 6);
}

/* All of the bytes arrive, in the same lines, however they are chopped. */
static void test_any_pieces(void **state) {
        static const char text[] = "a\nbb\r\n\nccc\n\xc3\xa9\xc3\xa9\n";

        for (size_t piece = 1; piece < sizeof text; piece++) {
                struct lines l = {};

                memset(&got, 0, sizeof got);
                for (size_t i = 0; i < sizeof text - 1; i += piece)
                        lines_feed(&l, text + i, sizeof text - 1 - i < piece ? sizeof text - 1 - i : piece, take, NULL);
                assert_string_equal(got.all, "a|bb||ccc|\xc3\xa9\xc3\xa9|");
        }
}

static void long_line(size_t len, const char *end, size_t piece, size_t lines) {
        char *text = malloc(len + strlen(end));
        struct lines l = {};

        memset(&got, 0, sizeof got);
        memset(text, 'x', len);
        memcpy(text + len, end, strlen(end));
        for (size_t i = 0, n = len + strlen(end); i < n; i += piece)
                lines_feed(&l, text + i, n - i < piece ? n - i : piece, take, NULL);
        lines_flush(&l, take, NULL);
        assert_int_equal(got.n, lines);
        assert_int_equal(got.bytes, len);
        free(text);
}

static void test_long_lines(void **state) {
        for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1) {
                long_line(LOG_TEXT_MAX - 1, "\n", piece, 1);
                long_line(LOG_TEXT_MAX, "\n", piece, 1);
                long_line(LOG_TEXT_MAX, "\r\n", piece, 1);
                long_line(LOG_TEXT_MAX + 1, "\n", piece, 2);
                long_line(3 * LOG_TEXT_MAX, "\n", piece, 3);
                long_line(3 * LOG_TEXT_MAX, "", piece, 3);
        }
        long_line(10000000, "", 65536, 9766);
}

static void test_characters_stay_whole(void **state) {
        for (size_t shift = 0; shift < 4; shift++)
                for (size_t piece = 1; piece < 4000; piece = piece * 5 + 2) {
                        struct lines l = {};
                        char text[3000];

                        memset(&got, 0, sizeof got);
                        memset(text, 'x', shift);
                        for (size_t i = shift; i + 4 <= sizeof text; i += 4)
                                memcpy(text + i, "\xf0\x9f\x90\xa7", 4);
                        for (size_t i = 0; i < sizeof text - 4; i += piece)
                                lines_feed(&l, text + i, sizeof text - 4 - i < piece ? sizeof text - 4 - i : piece, take, NULL);
                        assert_int_equal(got.n, 2);
                }
}

static void test_text_clean(void **state) {
        char buf[TEXT_MAX + 1], big[2 * TEXT_MAX];

        assert_string_equal(text_clean(buf, "  hi \n", 6), "hi");
        assert_string_equal(text_clean(buf, "a\033[2Jb\xff\xc3\xa9\xc2\x9b\x7f", 12), "a?[2Jb?\xc3\xa9???");
        assert_string_equal(text_clean(buf, "", 0), "");
        assert_string_equal(text_clean(buf, "\xed\xa0\x80", 3), "???");
        memset(big, 'y', sizeof big);
        memcpy(big + TEXT_MAX - 1, "\xc3\xa9", 2);
        assert_int_equal(strlen(text_clean(buf, big, sizeof big)), TEXT_MAX - 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_any_pieces),
                cmocka_unit_test(test_long_lines),
                cmocka_unit_test(test_characters_stay_whole),
                cmocka_unit_test(test_text_clean),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
