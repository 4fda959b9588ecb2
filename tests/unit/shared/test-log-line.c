/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One line of a console log: what is written is read back, and nothing else is. */
#include "unit.h"

#include "shared/log-line.h"

static const char *format(const char *text, size_t len) {
        static char buf[LOG_LINE_MAX + 1];
        size_t n = log_line_format(buf, 1, 2, 3, 'p', text, len);

        assert_true(n <= LOG_LINE_MAX);
        buf[n] = 0;
        return buf;
}

static void test_format(void **state) {
        assert_string_equal(format("hello", 5), "1 2 3 p hello\n");
        assert_string_equal(format("", 0), "1 2 3 p \n");
        assert_string_equal(format("a\tb", 3), "1 2 3 p a\tb\n");
        assert_string_equal(format("a\\b", 3), "1 2 3 p a\\\\b\n");
        assert_string_equal(format("\0\033\r\n\x7f", 5), "1 2 3 p \\x00\\x1b\\x0d\\x0a\\x7f\n");
        assert_string_equal(format("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7", 9), "1 2 3 p \xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7\n");
}

static void test_bad_utf8(void **state) {
        assert_string_equal(format("\xff", 1), "1 2 3 p \\xff\n");
        assert_string_equal(format("\xc3", 1), "1 2 3 p \\xc3\n");
        assert_string_equal(format("\xc0\xaf", 2), "1 2 3 p \\xc0\\xaf\n");
        assert_string_equal(format("\xe0\x80\xaf", 3), "1 2 3 p \\xe0\\x80\\xaf\n");
        assert_string_equal(format("\xed\xa0\x80", 3), "1 2 3 p \\xed\\xa0\\x80\n");
        assert_string_equal(format("\xf4\x90\x80\x80", 4), "1 2 3 p \\xf4\\x90\\x80\\x80\n");
        /* C1 controls: terminals obey them. */
        assert_string_equal(format("\xc2\x9b" "2J", 4), "1 2 3 p \\xc2\\x9b2J\n");
}

/* Every pair of bytes, and the longest line of the worst bytes. */
static void test_round_trip(void **state) {
        char worst[LOG_TEXT_MAX + 1], buf[LOG_LINE_MAX];
        struct log_line l;
        size_t n;

        for (unsigned i = 0; i < 65536; i++) {
                const char pair[] = {(char) (i >> 8), (char) i};

                n = log_line_format(buf, i, UINT64_MAX, UINT32_MAX, 'k', pair, 2);
                assert_int_equal(buf[n - 1], '\n');
                assert_null(memchr(buf, '\n', n - 1));
                assert_true(log_line_parse(buf, n - 1, &l));
                assert_int_equal(l.seq, i);
                assert_int_equal(l.boot, UINT32_MAX);
                assert_int_equal(l.stream, 'k');
        }
        memset(worst, 0xff, sizeof worst);
        n = log_line_format(buf, UINT64_MAX - 1, UINT64_MAX, UINT32_MAX, 'm', worst, sizeof worst);
        assert_true(n <= LOG_LINE_MAX);
        assert_true(log_line_parse(buf, n - 1, &l));
        assert_int_equal(l.text_len, 4 * LOG_TEXT_MAX);
}

static void test_refused(void **state) {
        static const char *const table[] = {
                "", "1", "1 2", "1 2 3", "1 2 3 ", "1 2 3 p", "1 2 3 z x", "1 2 3 pp x", " 1 2 3 p x", "+1 2 3 p x",
                "-1 2 3 p x", "a 2 3 p x", "1  2 3 p x", "1 2 4294967296 p x", "18446744073709551615 2 3 p x", "18446744073709551616 2 3 p x",
                "1 2 3 p a\\", "1 2 3 p \\x", "1 2 3 p \\x1", "1 2 3 p \\xZZ", "1 2 3 p \\xAB", "1 2 3 p \\n",
                "1 2 3 p \xff", "1 2 3 p \033[2J", "1 2 3 p \xc2\x9b", "1 2 3 p a\nb",
        };
        struct log_line l = {.seq = 99};

        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
                if (log_line_parse(table[i], strlen(table[i]), &l))
                        fail_msg("\"%s\" was taken", table[i]);
        /* A failed parse leaves the result alone; a NUL in an escape is no digit. */
        assert_false(log_line_parse("1 2 3 p \\x\0\0", 12, &l));
        assert_int_equal(l.seq, 99);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_format),
                cmocka_unit_test(test_bad_utf8),
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
