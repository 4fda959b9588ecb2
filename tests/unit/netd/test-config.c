/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* netd.conf: what it allows, and what is said about mistakes in it. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netd/config.h"

static void test_defaults(void **state) {
        struct config c;

        config_defaults(&c);
        assert_true(patterns_match(&c.managed, "mcp-br0"));
        assert_true(patterns_match(&c.managed, "mcp-br"));
        assert_false(patterns_match(&c.managed, "br0"));
        assert_false(patterns_match(&c.managed, "xmcp-br0"));
        assert_int_equal(c.allowed.n, 0);
        assert_false(patterns_match(&c.allowed, "br0"));
}

static void test_lists(void **state) {
        struct config c;
        char error[128];

        config_defaults(&c);
        assert_int_equal(
                config_parse(&c, "# text\n; text\n\n[Netd]\n ManagedBridges = vm?  lab-* \r\nAllowBridges=br0\tbr1",
                        error, sizeof error),
                0);
        assert_true(patterns_match(&c.managed, "vm1"));
        assert_false(patterns_match(&c.managed, "vm12"));
        assert_true(patterns_match(&c.managed, "lab-a"));
        assert_false(patterns_match(&c.managed, "mcp-br0"));
        assert_true(patterns_match(&c.allowed, "br1"));
        assert_false(patterns_match(&c.allowed, "br2"));
        assert_int_equal(config_parse(&c, "ManagedBridges=\n", error, sizeof error), 0);
        assert_int_equal(c.managed.n, 0);
        assert_int_equal(c.allowed.n, 2);
}

static void assert_mistake(const char *text, const char *wanted) {
        struct config c, before;
        char error[128];

        config_defaults(&c);
        before = c;
        assert_int_equal(config_parse(&c, text, error, sizeof error), -EINVAL);
        assert_string_equal(error, wanted);
        assert_memory_equal(&c, &before, sizeof c);
}

static void test_mistakes(void **state) {
        char many[512] = "AllowBridges=";

        assert_mistake("[Net]", "line 1: the only section is [Netd]");
        assert_mistake("\nAllowBridges", "line 2: KEY=VALUE is expected");
        assert_mistake("AllowBridge=br0", "line 1: the keys are ManagedBridges and AllowBridges");
        assert_mistake("AllowBridges=br0\nManagedBridges=a[bc]", "line 2: a pattern has up to 31 of [A-Za-z0-9_.-*?]");
        assert_mistake(
                "AllowBridges=a2345678901234567890123456789012", "line 1: a pattern has up to 31 of [A-Za-z0-9_.-*?]");
        for (size_t i = 0; i <= CONFIG_PATTERNS_MAX; i++)
                strcat(many, "a ");
        assert_mistake(many, "line 1: up to 32 patterns are accepted");
}

static void put(const char *path, const char *text) {
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static void test_files(void **state) {
        char directory[] = "/tmp/test-netd-config-XXXXXX";
        struct config c;

        assert_non_null(mkdtemp(directory));
        assert_int_equal(chdir(directory), 0);
        config_defaults(&c);
        config_load(&c, "netd.conf"); /* none is no mistake */
        assert_true(patterns_match(&c.managed, "mcp-br0"));

        assert_int_equal(mkdir("netd.conf.d", 0700), 0);
        put("netd.conf", "AllowBridges=main\n");
        put("netd.conf.d/20.conf", "AllowBridges=second\n");
        put("netd.conf.d/10.conf", "AllowBridges=first\nManagedBridges=m\n");
        put("netd.conf.d/30.conf.bak", "nonsense\n");
        config_load(&c, "netd.conf");
        assert_false(c.broken);
        assert_true(patterns_match(&c.allowed, "second"));
        assert_false(patterns_match(&c.allowed, "first"));
        assert_true(patterns_match(&c.managed, "m"));
        put("netd.conf.d/15.conf", "nonsense\n");
        config_load(&c, "netd.conf");
        assert_true(c.broken);
        assert_int_equal(c.managed.n + c.allowed.n, 0);

        assert_int_equal(unlink("netd.conf.d/10.conf") | unlink("netd.conf.d/15.conf") | unlink("netd.conf.d/20.conf") |
                                 unlink("netd.conf.d/30.conf.bak") | rmdir("netd.conf.d") | unlink("netd.conf") |
                                 rmdir(directory),
                0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_mistakes),
                cmocka_unit_test(test_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
