/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors as values: their errno, and foreign text in a message. */
#include <errno.h>

#include "unit.h"

#include "model/problem.h"

static void test_errno(void **state) {
        static const struct {
                const char *error;
                int r;
        } cases[] = {
                {"InvalidSpec", -EINVAL},
                {"InvalidName", -EINVAL},
                {"NoSuchVM", -ENOENT},
                {"NoSuchImage", -ENOENT},
                {"VMExists", -EEXIST},
                {"NetworkExists", -EEXIST},
                {"VMRunning", -EBUSY},
                {"Busy", -EBUSY},
                {"Canceled", -ECANCELED},
                {"Timeout", -ETIMEDOUT},
                {"NotSupported", -EOPNOTSUPP},
                {"BuildFailed", -EIO},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(Problem) p = NULL;

                assert_int_equal(problem_set(&p, cases[i].error, "Key", "value %d", 7), cases[i].r);
                assert_string_equal(p->error, cases[i].error);
                assert_string_equal(p->key, "Key");
                assert_string_equal(p->text, "value 7");
                assert_int_equal(problem_set(NULL, cases[i].error, NULL, "text"), cases[i].r);
        }
}

static void test_without_key(void **state) {
        g_autoptr(Problem) p = problem_new("NoSpace", NULL, "%s", "disk");

        assert_null(p->key);
        problem_free(NULL);
}

static void assert_quoted(const char *text, const char *expected) {
        g_autofree char *q = problem_quote(text);

        assert_string_equal(q, expected);
        assert_true(g_utf8_validate(q, -1, NULL));
}

static void test_quote(void **state) {
        g_autofree char *fits = repeat('a', 64, ""), *longer = repeat('a', 65, "");
        g_autofree char *fits_quoted = g_strdup_printf("'%s'", fits);
        g_autofree char *cut = g_strdup_printf("'%s...'", fits);
        g_autofree char *wide = g_strnfill(400, '\xf0');

        assert_quoted("", "''");
        assert_quoted("a b", "'a b'");
        assert_quoted("\x1b[31m\n", "'\\x1b[31m\\x0a'");
        assert_quoted("z\xc3\xa4h", "'z\xc3\xa4h'");
        assert_quoted("\xff", "'\xef\xbf\xbd'");
        assert_quoted("\xe2\x80\xae", "'\\x202e'"); /* right-to-left override */
        assert_quoted(fits, fits_quoted);
        assert_quoted(longer, cut);

        g_autofree char *q = problem_quote(wide);

        assert_true(g_utf8_validate(q, -1, NULL));
        assert_true(strlen(q) < 64 * 3 + 8);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_errno),
                cmocka_unit_test(test_without_key),
                cmocka_unit_test(test_quote),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
