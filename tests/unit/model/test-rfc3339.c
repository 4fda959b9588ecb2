/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times in files. */
#include <errno.h>

#include "unit.h"

#include "model/rfc3339.h"

static void test_good(void **state) {
        static const struct {
                const char *text;
                uint64_t usec;
        } cases[] = {
                {"1970-01-01T00:00:00Z", 0},
                {"1970-01-01T00:00:00.000001Z", 1},
                {"2026-05-01T10:00:00Z", 1777629600000000},
                {"2026-05-01T12:00:00+02:00", 1777629600000000},
                {"2026-05-01T04:30:00-05:30", 1777629600000000},
                {"2026-05-01t10:00:00.5z", 1777629600500000},
                {"2026-05-01T10:00:00.123456789Z", 1777629600123456},
                {"2024-02-29T23:59:59.999999Z", 1709251199999999},
                {"2016-12-31T23:59:60Z", 1483228800000000},
                {"0001-01-01T00:00:00Z", 0},
                {"1969-12-31T23:59:59.9Z", 0},
                {"9999-12-31T23:59:59.999999Z", 253402300799999999},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint64_t usec = 42;

                assert_int_equal(rfc3339_parse(cases[i].text, &usec), 0);
                assert_int_equal(usec, cases[i].usec);
        }
}

static void test_bad(void **state) {
        static const char *const bad[] = {
                "",
                "2026",
                "2026-05-01",
                "2026-05-01T10:00:00",
                "2026-05-01 10:00:00Z",
                "2026-5-1T10:00:00Z",
                "2026-13-01T10:00:00Z",
                "2026-00-01T10:00:00Z",
                "2026-06-31T10:00:00Z",
                "2025-02-29T10:00:00Z",
                "2026-05-01T24:00:00Z",
                "2026-05-01T10:60:00Z",
                "2026-05-01T10:00:61Z",
                "2026-05-01T10:00:00.Z",
                "2026-05-01T10:00:00.1234567890Z",
                "2026-05-01T10:00:00+2:00",
                "2026-05-01T10:00:00+24:00",
                "2026-05-01T10:00:00+02:60",
                "2026-05-01T10:00:00+0200",
                "2026-05-01T10:00:00Zx",
                "-026-05-01T10:00:00Z",
                "20260501T100000Z",
        };
        uint64_t usec = 42;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                if (rfc3339_parse(bad[i], &usec) != -EINVAL)
                        fail_msg("accepted: %s", bad[i]);
        assert_int_equal(usec, 42);
}

static void test_round_trip(void **state) {
        static const uint64_t times[] = {0, 1, 999999, 1000000, 1777629600123456, 253402300799999999};

        for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
                g_autofree char *text = rfc3339_format(times[i]);
                uint64_t usec = 42;

                assert_int_equal(rfc3339_parse(text, &usec), 0);
                assert_int_equal(usec, times[i]);
        }

        g_autofree char *text = rfc3339_format(1777629600000000);

        assert_string_equal(text, "2026-05-01T10:00:00.000000Z");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_round_trip),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
