/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of a failure: whole, cut, and cleaned. */
#include "unit.h"

#include <errno.h>

#include "guest/failure.h"

static void test_text(void **state) {
        struct failure f;

        assert_int_equal(failure_set(&f, -EPERM, "no %d", 7), -EPERM);
        assert_string_equal(f.text, "no 7");
        assert_int_equal(failure_set_errno(&f, -ENOENT, "%s", "/x"), -ENOENT);
        assert_string_equal(f.text, "/x: No such file or directory");
}

static void test_too_long(void **state) {
        char text[3 * FAILURE_TEXT_MAX];
        struct failure f;

        memset(text, 'a', sizeof(text));
        text[sizeof(text) - 1] = 0;
        assert_int_equal(failure_set_errno(&f, -EIO, "%s", text), -EIO);
        assert_int_equal(strlen(f.text), FAILURE_TEXT_MAX - 1);
}

/* A character that the limit cuts in two is none any more. */
static void test_cut_inside_a_character(void **state) {
        char text[FAILURE_TEXT_MAX + 1];
        struct failure f;

        memset(text, 'a', sizeof(text));
        (void) strcpy(text + FAILURE_TEXT_MAX - 2, "ä");
        (void) failure_set(&f, -EIO, "%s", text);
        assert_int_equal(strlen(f.text), FAILURE_TEXT_MAX - 1);
        assert_int_equal(f.text[FAILURE_TEXT_MAX - 2], '?');
}

static void test_clean(void **state) {
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"", ""},
                {"plain ~", "plain ~"},
                {"a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?"},
                {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb3", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb3"},
                {"\xc3", "?"},
                {"\xe2\x82", "??"},
                {"\xf0\x9f\x90", "???"},
                {"\x80\xbf", "??"},
                {"\xc0\xaf", "??"},           /* overlong / */
                {"\xe0\x80\xaf", "???"},      /* overlong */
                {"\xed\xa0\x80", "???"},      /* surrogate */
                {"\xf4\x90\x80\x80", "????"}, /* beyond Unicode */
                {"\xf8\x88\x80\x80\x80", "?????"} /* five bytes */,
                {"\xc2\x9b"
                 "1m",
                        "??1m"}, /* control characters of the upper half */
                {"\xc3(", "?("},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char buf[64];

                (void) strcpy(buf, cases[i].in);
                failure_clean(buf);
                assert_string_equal(buf, cases[i].out);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_too_long),
                cmocka_unit_test(test_cut_inside_a_character),
                cmocka_unit_test(test_clean),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
