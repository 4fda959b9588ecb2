/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The line of builds: who runs, who waits, and who is next. */
#include "unit.h"

#include <errno.h>

#include "core/builds.h"
#include "core/users.h"

typedef struct Bench {
        Config config;
        Runtime runtime;
        GString *trace; /* names of those that began, in their order */
        bool full;      /* nobody is ready */
} Bench;

static void on_changing(Job *job, const char *property, void *userdata) {
}

static void on_log(Job *job, int level, const char *text, void *userdata) {
}

static void on_job(Job *job, void *userdata) {
}

static void on_runtime_changing(const char *property, void *userdata) {
}

static void on_named(uint32_t uid, const char *name, void *userdata) {
}

static const Observer observer = {.job_changing = on_changing,
        .job_log = on_log,
        .job_finished = on_job,
        .job_gone = on_job,
        .runtime_changing = on_runtime_changing};

static int setup(void **state) {
        Bench *b = g_new0(Bench, 1);

        b->trace = g_string_new(NULL);
        b->config = (Config){.jobs_max = 1000, .builds_per_user = 2, .builds_max = 3, .queued_builds_max = 4};
        b->runtime = (Runtime){.config = &b->config, .observer = &observer, .observer_data = b, .users = users_new(on_named, b)};
        b->runtime.jobs = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify) job_free);
        assert_true(sd_event_new(&b->runtime.event) >= 0);
        assert_true(builds_new(&b->runtime, &b->runtime.builds) >= 0);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;

        builds_free(b->runtime.builds);
        g_hash_table_unref(b->runtime.jobs);
        (void) users_free(b->runtime.users);
        sd_event_unref(b->runtime.event);
        g_string_free(b->trace, TRUE);
        g_free(b);
        return 0;
}

static void on_start(Job *j, void *userdata) {
        Bench *b = userdata;

        assert_int_equal(j->state, JOB_RUNNING);
        g_string_append_printf(b->trace, "%s ", j->image);
}

static void on_drop(void *userdata) {
        g_string_append(((Bench *) userdata)->trace, "dropped ");
}

static bool is_ready(const Job *j, void *userdata) {
        return !((Bench *) userdata)->full;
}

static Job *join(Bench *b, uint32_t owner, const char *name) {
        Job *j = NULL;

        assert_int_equal(job_new(&b->runtime, "import", owner, &j, NULL), 0);
        j->image = g_strdup(name);
        builds_join(j, is_ready, on_start, on_drop, b);
        return j;
}

static void assert_began(Bench *b, const char *names) {
        while (sd_event_run(b->runtime.event, 0) > 0)
                ;
        assert_string_equal(b->trace->str, names);
        g_string_truncate(b->trace, 0);
}

static void cancel(Job *j) {
        g_autoptr(Problem) p = problem_new("Canceled", NULL, "by the test");

        job_finish(j, p);
}

static void test_two_at_once(void **state) {
        Bench *b = *state;
        Job *first = join(b, 1000, "a"), *second = join(b, 1000, "b"), *third = join(b, 1000, "c");

        assert_began(b, "a b ");
        assert_int_equal(third->state, JOB_QUEUED);
        job_finish(second, NULL);
        assert_began(b, "c ");
        job_finish(first, NULL);
        job_finish(third, NULL);
        assert_began(b, "");
        (void) join(b, 1000, "d");
        assert_began(b, "d ");
}

/* What those that wait were to do is let go with the line; those that began are others'. */
static void test_end_of_the_line(void **state) {
        Bench *b = *state;

        for (unsigned i = 0; i < 4; i++)
                (void) join(b, 1000, "a");
        assert_began(b, "a a ");
        builds_free(b->runtime.builds);
        b->runtime.builds = NULL;
        assert_string_equal(b->trace->str, "dropped dropped ");
}

/* Root's wait as everybody's. */
static void test_root(void **state) {
        Bench *b = *state;

        for (unsigned i = 0; i < 3; i++)
                (void) join(b, 0, "a");
        assert_began(b, "a a ");
}

static void test_of_everybody(void **state) {
        Bench *b = *state;
        Job *j = join(b, 1000, "a");

        (void) join(b, 1001, "b");
        (void) join(b, 1002, "c");
        (void) join(b, 1003, "d");
        assert_began(b, "a b c ");
        job_finish(j, NULL);
        assert_began(b, "d ");
}

static void test_line_is_bounded(void **state) {
        g_autoptr(Problem) problem = NULL;
        Bench *b = *state;

        for (unsigned i = 0; i < 2 + 4; i++) {
                assert_int_equal(builds_check(&b->runtime, 1000, NULL), 0);
                (void) join(b, 1000, "a");
        }
        assert_int_equal(builds_check(&b->runtime, 1000, &problem), -EDQUOT);
        assert_string_equal(problem->error, "QuotaExceeded");
        assert_non_null(strstr(problem->text, "the limit is 4"));
        assert_non_null(strstr(problem->text, "QueuedBuildsPerUser="));
        assert_int_equal(builds_check(&b->runtime, 1001, NULL), 0);
}

static void test_canceled_while_queued(void **state) {
        Bench *b = *state;
        Job *first = join(b, 1000, "a"), *waiting;

        (void) join(b, 1000, "b");
        waiting = join(b, 1000, "c");
        (void) join(b, 1000, "d");
        cancel(waiting);
        assert_int_equal(waiting->state, JOB_CANCELED);
        assert_began(b, "a b ");
        job_finish(first, NULL);
        assert_began(b, "d ");
}

/* One slot, two users: who came with many does not keep the other waiting. */
static void test_turns(void **state) {
        Bench *b = *state;
        Job *many[4], *few[2];

        b->config.builds_max = 1;
        for (unsigned i = 0; i < G_N_ELEMENTS(many); i++)
                many[i] = join(b, 1000, "many");
        for (unsigned i = 0; i < G_N_ELEMENTS(few); i++)
                few[i] = join(b, 1001, "few");
        assert_began(b, "many ");
        job_finish(many[0], NULL);
        assert_began(b, "few ");
        job_finish(few[0], NULL);
        assert_began(b, "many ");
        job_finish(many[1], NULL);
        assert_began(b, "few ");
        job_finish(few[1], NULL);
        assert_began(b, "many ");
        job_finish(many[2], NULL);
        assert_began(b, "many ");
}

/* Who has fewer running goes first, however late he came; of those, who was not served yet. */
static void test_fewest_first(void **state) {
        Bench *b = *state;
        Job *other = join(b, 1001, "other");

        (void) join(b, 1000, "a");
        (void) join(b, 1000, "b");
        (void) join(b, 1001, "late");
        (void) join(b, 1002, "new");
        assert_began(b, "other a b ");
        job_finish(other, NULL);
        assert_began(b, "new ");
}

/* A job that could run has to have what it needs. */
static void test_ready(void **state) {
        Bench *b = *state;
        Job *first = join(b, 1000, "a"), *second;

        b->full = true;
        second = join(b, 1000, "b");
        assert_began(b, "a ");
        assert_int_equal(second->state, JOB_QUEUED);
        b->full = false;
        job_finish(first, NULL);
        assert_began(b, "b ");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_two_at_once, setup, teardown),
                cmocka_unit_test_setup_teardown(test_end_of_the_line, setup, teardown),
                cmocka_unit_test_setup_teardown(test_root, setup, teardown),
                cmocka_unit_test_setup_teardown(test_of_everybody, setup, teardown),
                cmocka_unit_test_setup_teardown(test_line_is_bounded, setup, teardown),
                cmocka_unit_test_setup_teardown(test_canceled_while_queued, setup, teardown),
                cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
                cmocka_unit_test_setup_teardown(test_fewest_first, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ready, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
