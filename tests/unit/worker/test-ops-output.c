/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ops printed: where its image is, and its words. */
#include "unit.h"

#include <glib.h>
#include <limits.h>
#include <string.h>

#include "worker/ops-output.h"

static void assert_image(const char *text, const char *expected) {
        char *path = ops_output_image(text, strlen(text));

        if (expected) {
                assert_non_null(path);
                assert_string_equal(path, expected);
        } else
                assert_null(path);
        g_free(path);
}

static void test_image(void **state) {
        assert_image("Bootable image file:/h/.ops/images/guest\n", "/h/.ops/images/guest");
        assert_image("booting\nBootable image file:/a.img", "/a.img");
        assert_image("Bootable image file: /a b\t\r\nmore\n", "/a b");
        assert_image("Bootable image file:/a\nBootable image file:/b\n", "/b");
        assert_image("", NULL);
        assert_image("\n\n\n", NULL);
        assert_image("Bootable image file:", NULL);
        assert_image("Bootable image file:\n/a\n", NULL);
        assert_image("Bootable image file:relative\n", NULL);
        assert_image("Bootable image file:/a\tb\n", NULL);
        assert_image("Bootable image file:/a\nBootable image file:no\n", NULL);
        assert_image("no Bootable image file:/a\n", NULL);
        assert_image("bootable image file:/a\n", NULL);
}

static void test_long_path(void **state) {
        g_autoptr(GString) text = g_string_new("Bootable image file:/");

        while (text->len < strlen("Bootable image file:") + PATH_MAX - 1)
                g_string_append_c(text, 'x');
        assert_image(text->str, text->str + strlen("Bootable image file:"));
        g_string_append_c(text, 'x');
        assert_image(text->str, NULL);
}

static void assert_words(const char *out, const char *err, const char *expected) {
        g_autofree char *words = ops_output_words(out, strlen(out), err, strlen(err));

        assert_string_equal(words, expected);
}

static void test_words(void **state) {
        assert_words("", "", "");
        assert_words("\n \n", "\n", "");
        assert_words("one\n", "two\n", "two; one");
        assert_words("1\n2\n3\n4\n\n", "", "2; 3; 4");
        assert_words("a\033[31mb\177\n", "", "a?[31mb?");
        assert_words("\xff\n", "", "\xef\xbf\xbd");
}

static void test_long_words(void **state) {
        g_autofree char *text = g_strnfill(3 * OPS_WORDS_MAX, 'x'), *words = NULL;

        words = ops_output_words(text, strlen(text), text, strlen(text));
        assert_int_equal(strlen(words), OPS_WORDS_MAX);
        g_free(words);
        /* Never half a character. */
        for (size_t i = 0; i + 1 < strlen(text); i += 2)
                memcpy(text + i, "\xc3\xa4", 2);
        words = ops_output_words(text + 1, strlen(text + 1), text, strlen(text));
        assert_true(strlen(words) <= OPS_WORDS_MAX && g_utf8_validate(words, -1, NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_image),
                cmocka_unit_test(test_long_path),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_long_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
