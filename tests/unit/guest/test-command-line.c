/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words of the kernel's command line: whole keys, the last one, and what does not fit. */
#include "unit.h"

#include "guest/command-line.h"

static const char *value(const char *line, const char *key) {
        static char found[16];

        return command_line_value(line, key, found, sizeof(found)) ? found : NULL;
}

static void test_found(void **state) {
        static const char line[] = "console=ttyS0 root=rootfs rootfstype=9p rootflags=a=1,b ro\n";

        assert_string_equal(value(line, "rootfstype"), "9p");
        assert_string_equal(value(line, "root"), "rootfs");
        assert_string_equal(value(line, "rootflags"), "a=1,b");
        assert_string_equal(value(" \t rootfstype=9p", "rootfstype"), "9p");
        assert_string_equal(value("rootfstype=", "rootfstype"), "");
}

static void test_none(void **state) {
        assert_null(value("", "rootfstype"));
        assert_null(value("\n", "rootfstype"));
        assert_null(value("rootfstype", "rootfstype"));
        assert_null(value("xrootfstype=9p rootfstypex=9p x=rootfstype=9p", "rootfstype"));
}

static void test_last(void **state) {
        assert_string_equal(value("root=a root=b", "root"), "b");
}

static void test_size(void **state) {
        char small[4] = "old";

        assert_false(command_line_value("root=1234", "root", small, sizeof(small)));
        assert_string_equal(small, "old");
        assert_true(command_line_value("root=123", "root", small, sizeof(small)));
        assert_string_equal(small, "123");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_found),
                cmocka_unit_test(test_none),
                cmocka_unit_test(test_last),
                cmocka_unit_test(test_size),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
