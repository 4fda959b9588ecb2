/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Users and groups of an image, its files sane and not. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest/account.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "web:x:1000:1001:Web,,,:/home/web:/bin/sh\n"
                             "short:x:7:8\n"
                             "twin:x:1000:2:::\n"
                             "1234:x:55:66::/numeric:\n"
                             "last:x:99:98::/last:/bin/sh"; /* no newline */

static const char group[] = "root:x:0:\n"
                            "staff:x:50:web,other\n"
                            "webby:x:51:other,webby\n"
                            "audio:x:29:other,web\n"
                            "77:x:78:\n"
                            "tail:x:30:web";

static void assert_account(const char *spec, uid_t uid, gid_t gid, const char *home, const char *groups) {
        struct account a;
        struct failure f;
        char text[256] = "";

        assert_int_equal(account_resolve(spec, passwd, group, &a, &f), 0);
        assert_int_equal(a.uid, uid);
        assert_int_equal(a.gid, gid);
        assert_string_equal(a.home, home);
        for (size_t i = 0; i < a.n_groups; i++)
                (void) sprintf(text + strlen(text), "%u ", a.groups[i]);
        assert_string_equal(text, groups);
}

static void test_found(void **state) {
        assert_account("", 0, 0, "/root", "");
        assert_account("root", 0, 0, "/root", "");
        assert_account("0", 0, 0, "/root", "");
        assert_account("web", 1000, 1001, "/home/web", "50 29 30 ");
        assert_account("1000", 1000, 1001, "/home/web", "50 29 30 ");
        assert_account("web:", 1000, 1001, "/home/web", "50 29 30 ");
        assert_account("web:audio", 1000, 29, "/home/web", "");
        assert_account("web:29", 1000, 29, "/home/web", "");
        assert_account("web:4321", 1000, 4321, "/home/web", "");
        assert_account(":audio", 0, 29, "/root", "");
        assert_account(":", 0, 0, "/root", "");
        assert_account("short", 7, 8, "/", "");
        assert_account("last", 99, 98, "/last", "");
        assert_account("4711", 4711, 0, "/", "");
        assert_account("4711:4712", 4711, 4712, "/", "");
        assert_account("4294967294", 4294967294, 0, "/", "");
}

/* A name of digits is a name first, as for container engines. */
static void test_numeric_names(void **state) {
        assert_account("1234", 55, 66, "/numeric", "");
        assert_account("web:77", 1000, 78, "/home/web", "");
}

static void test_without_files(void **state) {
        struct account a;
        struct failure f;

        assert_int_equal(account_resolve("", NULL, NULL, &a, &f), 0);
        assert_int_equal(a.uid, 0);
        assert_string_equal(a.home, "/");
        assert_int_equal(account_resolve("5:6", NULL, NULL, &a, &f), 0);
        assert_int_equal(a.gid, 6);
        assert_int_equal(account_resolve("root", NULL, NULL, &a, &f), -ENOENT);
        assert_int_equal(account_resolve("0:root", NULL, NULL, &a, &f), -ENOENT);
}

static void test_unknown(void **state) {
        static const struct {
                const char *spec, *reason;
        } cases[] = {
                {"nobody", "user 'nobody' is not in the image's /etc/passwd"},
                {"we", "user 'we'"},
                {"webb", "user 'webb'"},
                {"web:nope", "group 'nope' is not in the image's /etc/group"},
                {"web:staff:x", "group 'staff:x'"},
                {"-1", "user '-1'"},
                {"+1", "user '+1'"},
                {"0x0", "user '0x0'"},
                {" 0", "user ' 0'"},
                {"4294967295", "user '4294967295'"}, /* "unchanged" to setresuid() */
                {"99999999999999999999999", "a number is accepted"},
                {"web:4294967295", "group '4294967295'"},
                {"a\nb", "user 'a?b'"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct account a = {.uid = 17};
                struct failure f;

                assert_int_equal(account_resolve(cases[i].spec, passwd, group, &a, &f), -ENOENT);
                assert_contains(f.text, cases[i].reason);
                assert_int_equal(a.uid, 17);
        }
}

static void test_long_name(void **state) {
        char spec[400];
        struct account a;
        struct failure f;

        memset(spec, 'a', sizeof(spec));
        spec[sizeof(spec) - 1] = 0;
        assert_int_equal(account_resolve(spec, passwd, group, &a, &f), -EINVAL);
        assert_contains(f.text, "at most 255");
        spec[255] = 0;
        assert_int_equal(account_resolve(spec, passwd, group, &a, &f), -ENOENT);
}

/* Lines that are no entries are passed over, and hide nothing behind them. */
static void test_hostile_files(void **state) {
        static const char junk[] =
                "\n:\n::::::::::::\n+::::::\n#web:x:1:1\nweb\nweb:x\nweb:x:0\nweb:x:0:\nweb:x:-1:0:::\n"
                "web:x:4294967295:0:::\nweb:x:99999999999999999999:0:::\n:x:0:0::/:\nweb:x: 0:0:::\n"
                "web:x:12:13:::";
        static const char groups[] = "\n:::\n:x:1:web\ng:x:y:web\ng:x::web\ng:x:2:,,,web,\ng:x:3:webs\ng:x:4:we";
        struct account a;
        struct failure f;

        assert_int_equal(account_resolve("web", junk, groups, &a, &f), 0);
        assert_int_equal(a.uid, 12);
        assert_int_equal(a.gid, 13);
        assert_string_equal(a.home, "/");
        assert_int_equal(a.n_groups, 2);
        assert_int_equal(a.groups[0], 1);
        assert_int_equal(a.groups[1], 2);
        /* An entry without a name is not the one of its number. */
        assert_int_equal(account_resolve("0", ":x:0:5::/wrong:", NULL, &a, &f), 0);
        assert_int_equal(a.gid, 0);
        assert_int_equal(account_resolve("web:g", junk, groups, &a, &f), 0);
        assert_int_equal(a.gid, 2);
}

static void test_long_home(void **state) {
        char *text = malloc(ACCOUNT_HOME_MAX + 100);
        struct account a;
        struct failure f;

        assert_non_null(text);
        for (size_t len = ACCOUNT_HOME_MAX - 1; len <= ACCOUNT_HOME_MAX; len++) {
                (void) sprintf(text, "u:x:1:1::/%0*d:/bin/sh\n", (int) len - 1, 0);
                assert_int_equal(account_resolve("u", text, NULL, &a, &f), 0);
                assert_int_equal(strlen(a.home), len < ACCOUNT_HOME_MAX ? len : 1);
        }
        free(text);
}

static void test_group_limit(void **state) {
        char *text = calloc(ACCOUNT_GROUPS_MAX + 1, 32);
        struct account a;
        struct failure f;

        assert_non_null(text);
        for (unsigned i = 0; i < ACCOUNT_GROUPS_MAX; i++)
                (void) sprintf(text + strlen(text), "g%u:x:%u:web\n", i, i + 1);
        assert_int_equal(account_resolve("web", passwd, text, &a, &f), 0);
        assert_int_equal(a.n_groups, ACCOUNT_GROUPS_MAX);
        (void) strcat(text, "h:x:7:web");
        assert_int_equal(account_resolve("web", passwd, text, &a, &f), -E2BIG);
        assert_contains(f.text, "more than 256 groups");
        assert_int_equal(account_resolve("web:h", passwd, text, &a, &f), 0);
        free(text);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_found),
                cmocka_unit_test(test_numeric_names),
                cmocka_unit_test(test_without_files),
                cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_long_name),
                cmocka_unit_test(test_hostile_files),
                cmocka_unit_test(test_long_home),
                cmocka_unit_test(test_group_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
