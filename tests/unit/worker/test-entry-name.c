/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of archive entries. */
#include "unit.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "worker/entry-name.h"

static const struct limits limits = {.depth = 3, .name = 5};

static void check(const char *name, const char *expected) {
        struct failure f = {};
        g_autofree char *clean = NULL;

        assert_int_equal(entry_name_clean(name, &limits, "entry", &clean, &f), 0);
        assert_string_equal(clean, expected);
}

static void check_fails(const char *name, const char *error, const char *text) {
        struct failure f = {};
        char *clean = NULL;

        assert_true(entry_name_clean(name, &limits, "entry", &clean, &f) < 0);
        assert_null(clean);
        assert_failure(&f, error, text);
}

static void test_clean(void **state) {
        check("a/b", "a/b");
        check("./a//b/", "a/b");
        check("/a/./b", "a/b");
        check("/", "");
        check("./", "");
        check(".", "");
        check("...", "...");
        check("..a", "..a");
        check("a../b", "a../b");
}

static void test_refused(void **state) {
        check_fails("", FAILURE_UNSUPPORTED, "empty name");
        check_fails("..", FAILURE_UNSUPPORTED, "\"..\" leads out");
        check_fails("../a", FAILURE_UNSUPPORTED, "\"../a\" leads out");
        check_fails("a/../b", FAILURE_UNSUPPORTED, "leads out");
        check_fails("/..", FAILURE_UNSUPPORTED, "leads out");
        check_fails("a/..", FAILURE_UNSUPPORTED, "leads out");
}

static void test_edges(void **state) {
        check("12345/1/1", "12345/1/1");
        check_fails("123456", FAILURE_LIMIT, "longer than 5 bytes (limit \"name\")");
        check_fails("1/2/3/4", FAILURE_LIMIT, "deeper than 3 names (limit \"depth\")");
}

static void test_printable(void **state) {
        check_fails("../\n\xff", FAILURE_UNSUPPORTED, "../?\xef\xbf\xbd");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_clean),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_edges),
                cmocka_unit_test(test_printable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
