/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs that hang, flood, or leave somebody behind. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/fd.h"
#include "worker/ops-run.h"

#define SECOND 1000000ULL

static int run(const char *script, uint64_t timeout, struct run_result *ret) {
        g_autofree char *text = g_strdup(script);
        char shell[] = "/bin/sh", c[] = "-c", path[] = "PATH=/usr/bin:/bin", a[] = "A=1";
        char *argv[] = {shell, c, text, NULL}, *envp[] = {path, a, NULL};

        return run_program(argv, envp, "/", timeout, ret);
}

static void test_output(void **state) {
        struct run_result r;

        assert_int_equal(run("pwd; echo $A; echo error >&2; read -r x || echo empty; exit 3", 60 * SECOND, &r), 0);
        assert_string_equal(r.out->str, "/\n1\nempty\n");
        assert_string_equal(r.err->str, "error\n");
        assert_true(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 3);
        assert_false(r.timed_out);
        run_result_clear(&r);
}

static void test_missing(void **state) {
        char nowhere[] = "/nowhere/ops", no_program[] = "/etc/passwd", *argv[] = {nowhere, NULL}, *envp[] = {NULL};
        struct run_result r;

        assert_int_equal(run_program(argv, envp, "/", SECOND, &r), -ENOENT);
        argv[0] = no_program;
        assert_int_equal(run_program(argv, envp, "/", SECOND, &r), -EACCES);
}

/* It and its child are gone when the time is over. */
static void test_hang(void **state) {
        uint64_t before = now_monotonic();
        struct run_result r;
        pid_t child;

        assert_int_equal(run("sleep 1000 & echo $!; wait", SECOND / 2, &r), 0);
        assert_true(r.timed_out);
        assert_true(WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGKILL);
        assert_true(now_monotonic() - before < 60 * SECOND);
        child = (pid_t) atoi(r.out->str);
        for (unsigned i = 0; i < 1000 && kill(child, 0) == 0; i++)
                (void) usleep(10000);
        assert_int_equal(kill(child, 0), -1);
        run_result_clear(&r);
}

/* Somebody who keeps the pipes does not keep us. */
static void test_left_behind(void **state) {
        uint64_t before = now_monotonic();
        struct run_result r;

        assert_int_equal(run("sleep 1000 & echo done", 600 * SECOND, &r), 0);
        assert_string_equal(r.out->str, "done\n");
        assert_false(r.timed_out);
        assert_true(now_monotonic() - before < 300 * SECOND);
        run_result_clear(&r);
}

/* The end of what it said is what counts; memory is bounded. */
static void test_flood(void **state) {
        struct run_result r;

        assert_int_equal(run("yes | head -c 3000000; echo last", 120 * SECOND, &r), 0);
        assert_true(r.out->len >= RUN_OUTPUT_MAX && r.out->len <= 2 * RUN_OUTPUT_MAX + 8192);
        assert_true(g_str_has_suffix(r.out->str, "last\n"));
        run_result_clear(&r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_output),
                cmocka_unit_test(test_missing),
                cmocka_unit_test(test_hang),
                cmocka_unit_test(test_left_behind),
                cmocka_unit_test(test_flood),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
