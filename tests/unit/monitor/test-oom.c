/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* memory.events, as kernels write it: which of its numbers counts those that were killed. */
#include "unit.h"

#include <stdlib.h>

#include "monitor/oom.h"

#define BEFORE "low 0\nhigh 3\nmax 41\noom 2\n"

static void test_parse(void **state) {
        static const struct {
                const char *text;
                int64_t count;
        } cases[] = {
                {BEFORE "oom_kill 1\noom_group_kill 7\n", 1},
                {BEFORE "oom_kill 0\n", 0},
                {BEFORE "oom_kill 12", 12}, /* cut behind the number */
                {"oom_kill 5\n" BEFORE, 5},
                {BEFORE "oom_group_kill 7\n", -1}, /* a kernel without it, before 4.19 */
                {BEFORE, -1},
                {"xoom_kill 5\n", -1},
                {"oom_killer 5\n", -1},
                {"\n\n\noom_kill 3\n", 3},
                {"", -1},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                assert_int_equal(oom_kill_parse(cases[i].text), cases[i].count);
}

/* Where there is no memory controller there is no number, and no reason to call an end by that name. */
static void test_count(void **state) {
        char *text = cgroup_read("memory.events");

        assert_true(oom_kill_count() == (text ? oom_kill_parse(text) : -1));
        free(text);
        assert_null(cgroup_read("no such file"));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_count),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
