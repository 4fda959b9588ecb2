/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The credentials' form: what it says, and every way to cut it. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#include "guest/credentials.h"

static const uint8_t two[] = "key\0\3\0\0\0a\0\nb\0\0\0\0"; /* the literal's NUL is the end of b's length */

static void test_whole(void **state) {
        struct credential c;
        size_t at = 0;

        assert_int_equal(credential_next(two, sizeof two, &at, &c), 1);
        assert_string_equal(c.name, "key");
        assert_int_equal(c.size, 3);
        assert_memory_equal(c.value, "a\0\n", 3);
        assert_int_equal(credential_next(two, sizeof two, &at, &c), 1);
        assert_string_equal(c.name, "b");
        assert_int_equal(c.size, 0);
        assert_int_equal(credential_next(two, sizeof two, &at, &c), 0);
        at = 0;
        assert_int_equal(credential_next(two, 0, &at, &c), 0);
}

static void test_cut(void **state) {
        for (size_t len = 1; len < sizeof two; len++) {
                uint8_t *exact = malloc(len); /* the sanitizer sees what is behind it */
                struct credential c;
                size_t at = 0;
                int r;

                assert_non_null(exact);
                memcpy(exact, two, len);
                while ((r = credential_next(exact, len, &at, &c)) > 0)
                        ;
                assert_int_equal(r, len == 11 ? 0 : -EBADMSG); /* the end of the first is an end */
                free(exact);
        }
}

static void test_names(void **state) {
        static const uint8_t bad[][8] = {"/\0", "a/b\0", "..\0", ".x\0", "\0"};

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct credential c;
                size_t at = 0;

                assert_int_equal(credential_next(bad[i], sizeof bad[i], &at, &c), -EBADMSG);
                assert_int_equal(at, 0);
        }
}

static void test_length(void **state) {
        static const uint8_t bad[] = "k\0\xff\xff\xff\xff";
        struct credential c;
        size_t at = 0;

        assert_int_equal(credential_next(bad, 6, &at, &c), -EBADMSG);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_length),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
