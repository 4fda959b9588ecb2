/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program's environment: what was given, and the defaults only where nothing was given. */
#include "unit.h"

#include "guest/environment.h"

static void assert_environment_with(char **given, size_t n, const char *credentials, const char *const *expected) {
        const char *own[] = {credentials, NULL};
        struct string_list list = {n > 0 ? given : NULL, n};
        char **result = environment_new(&list, "/home/web", own);
        size_t i;

        assert_non_null(result);
        for (i = 0; expected[i]; i++) {
                assert_non_null(result[i]);
                assert_string_equal(result[i], expected[i]);
        }
        assert_null(result[i]);
        assert_null(environment_free(result));
}

static void assert_environment(char **given, size_t n, const char *const *expected) {
        assert_environment_with(given, n, NULL, expected);
}

static void test_credentials(void **state) {
        char path[] = "PATH=/x", home[] = "HOME=/", old[] = "CREDENTIALS_DIRECTORY=/old";

        assert_environment_with((char *[]){old, path, home, NULL}, 3, "CREDENTIALS_DIRECTORY=/run/credentials",
                (const char *const[]){"PATH=/x", "HOME=/", "CREDENTIALS_DIRECTORY=/run/credentials", NULL});
        assert_environment((char *[]){old, path, home, NULL}, 3,
                (const char *const[]){"CREDENTIALS_DIRECTORY=/old", "PATH=/x", "HOME=/", NULL});
}

static void test_defaults(void **state) {
        char path[] = "PATH=/x", home[] = "HOME=", other[] = "HOMER=PATH=", like[] = "XPATH=1";

        assert_environment(NULL, 0, (const char *const[]){"PATH=" ENVIRONMENT_PATH, "HOME=/home/web", NULL});
        assert_environment((char *[]){path, NULL}, 1, (const char *const[]){"PATH=/x", "HOME=/home/web", NULL});
        assert_environment((char *[]){home, path, NULL}, 2, (const char *const[]){"HOME=", "PATH=/x", NULL});
        assert_environment((char *[]){other, like, NULL}, 2,
                (const char *const[]){"HOMER=PATH=", "XPATH=1", "PATH=" ENVIRONMENT_PATH, "HOME=/home/web", NULL});
}

static void test_get(void **state) {
        char a[] = "A=1", ab[] = "AB=2", again[] = "A=3", empty[] = "E=";
        char *list[] = {ab, a, again, empty, NULL};

        assert_string_equal(environment_get(list, "A"), "1");
        assert_string_equal(environment_get(list, "AB"), "2");
        assert_string_equal(environment_get(list, "E"), "");
        assert_null(environment_get(list, "B"));
        assert_null(environment_get(NULL, "A"));
        assert_null(environment_free(NULL));
}

/* What guest init says itself stands in place of what was given. */
static void test_own(void **state) {
        static const char *const own[] = {"NOTIFY_SOCKET=/n", "WATCHDOG_USEC=5", NULL};
        char socket[] = "NOTIFY_SOCKET=/theirs", like[] = "NOTIFY_SOCKETS=1", path[] = "PATH=/x", home[] = "HOME=/";
        char *given[] = {socket, like, path, home, NULL};
        struct string_list list = {given, 4};
        char **result = environment_new(&list, "/", own);

        assert_string_equal(result[0], like);
        assert_string_equal(result[1], path);
        assert_string_equal(result[2], home);
        assert_string_equal(result[3], own[0]);
        assert_string_equal(result[4], own[1]);
        assert_null(result[5]);
        (void) environment_free(result);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_credentials),
                cmocka_unit_test(test_get),
                cmocka_unit_test(test_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
