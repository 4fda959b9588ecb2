/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel and QEMU tell of a VM's use, read; and what others may put there. */
#include "unit.h"

#include <unistd.h>

#include "monitor/usage.h"

static void test_cpu_stat(void **state) {
        uint64_t v = 7;

        assert_true(usage_parse_cpu_stat("usage_usec 1234567\nuser_usec 1\nsystem_usec 2\n", &v));
        assert_int_equal(v, 1234567);
        assert_false(usage_parse_cpu_stat("", &v));
        assert_false(usage_parse_cpu_stat("usage_usec x\n", &v));
        assert_false(usage_parse_cpu_stat("user_usec 1\nusage_usec 2\n", &v));
}

/* The name of a process may hold what looks like the fields behind it. */
static void test_stat(void **state) {
        uint64_t v = 7;

        assert_true(usage_parse_stat("42 (qemu) S 1 42 42 0 -1 4194304 100 0 5 0 250 50 0 0 20 0 4 0 1 2 3", &v));
        assert_int_equal(v, 300);
        assert_true(usage_parse_stat("42 (a) b) R (c) S 1 42 42 0 -1 4194304 100 0 5 0 1 2 0 0", &v));
        assert_int_equal(v, 3);
        assert_false(usage_parse_stat("42 (qemu", &v));
        assert_false(usage_parse_stat("42 (qemu) S 1 2 3", &v));
        assert_false(usage_parse_stat("", &v));
}

static void test_statm(void **state) {
        uint64_t v = 7;

        assert_true(usage_parse_statm("1000 250 3 4 0 6 0\n", &v));
        assert_int_equal(v, 250);
        assert_false(usage_parse_statm("1000", &v));
        assert_false(usage_parse_statm("", &v));
}

static void test_blocks(void **state) {
        json_t *devices =
                json_loads("[{\"stats\": {\"rd_bytes\": 10, \"wr_bytes\": 1}}, {\"stats\": {\"rd_bytes\": 5}}, {},"
                           " {\"stats\": 7}, {\"stats\": {\"rd_bytes\": -5, \"wr_bytes\": \"x\"}}]",
                        0, NULL);
        uint64_t r, w;

        usage_sum_blocks(devices, &r, &w);
        assert_int_equal(r, 15);
        assert_int_equal(w, 1);
        usage_sum_blocks(NULL, &r, &w);
        assert_int_equal(r + w, 0);
        json_decref(devices);
}

static void test_own(void **state) {
        struct usage u;

        usage_read(getpid(), &u);
        assert_true(u.has_memory && u.memory > 100000);
        assert_true(u.has_cpu);
        usage_read(-1, &u);
        assert_false(u.has_memory);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cpu_stat),
                cmocka_unit_test(test_stat),
                cmocka_unit_test(test_statm),
                cmocka_unit_test(test_blocks),
                cmocka_unit_test(test_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
