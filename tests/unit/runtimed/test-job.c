/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs with an observer that writes down what it is told. */
#include "unit.h"

#include <errno.h>
#include <math.h>

#include "core/job.h"
#include "core/users.h"

typedef struct Bench {
        Config config;
        Runtime runtime;
        GString *trace;
        char *dir;
} Bench;

static void on_changing(Job *job, const char *property, void *userdata) {
        g_string_append_printf(((Bench *) userdata)->trace, "%s ", property);
}

static void on_log(Job *job, int level, const char *text, void *userdata) {
        g_string_append_printf(((Bench *) userdata)->trace, "log ");
}

static void on_finished(Job *job, void *userdata) {
        g_string_append_printf(((Bench *) userdata)->trace, "finished:%s ", job_state_to_string(job->state));
}

static void on_gone(Job *job, void *userdata) {
        g_string_append_printf(((Bench *) userdata)->trace, "gone ");
}

static void on_runtime_changing(const char *property, void *userdata) {
}

static void on_named(uint32_t uid, const char *name, void *userdata) {
}

static const Observer observer = {.job_changing = on_changing,
        .job_log = on_log,
        .job_finished = on_finished,
        .job_gone = on_gone,
        .runtime_changing = on_runtime_changing};

static int setup(void **state) {
        Bench *b = g_new0(Bench, 1);

        b->trace = g_string_new(NULL);
        b->config.jobs_max = 2;
        b->runtime = (Runtime){.config = &b->config, .observer = &observer, .observer_data = b, .users = users_new(on_named, b)};
        b->dir = scratch_new();
        assert_int_equal(store_open(b->dir, &b->runtime.store), 0);
        b->runtime.jobs = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify) job_free);
        assert_true(sd_event_new(&b->runtime.event) >= 0);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;

        g_hash_table_unref(b->runtime.jobs);
        (void) users_free(b->runtime.users);
        sd_event_unref(b->runtime.event);
        (void) store_free(b->runtime.store);
        scratch_remove(b->dir);
        g_string_free(b->trace, TRUE);
        g_free(b);
        return 0;
}

static Job *new_job(Bench *b, uint32_t owner) {
        Job *j = NULL;

        assert_int_equal(job_new(&b->runtime, "start", owner, &j, NULL), 0);
        assert_non_null(j);
        return j;
}

static void test_new(void **state) {
        Bench *b = *state;
        Job *j = new_job(b, 1000), *k = new_job(b, 1000);

        assert_int_equal(j->id, 1);
        assert_int_equal(k->id, 2);
        assert_int_equal(j->state, JOB_RUNNING);
        assert_string_equal(j->stage, "");
        assert_ptr_equal(g_hash_table_lookup(b->runtime.jobs, GUINT_TO_POINTER(1)), j);
}

static void test_quota(void **state) {
        Bench *b = *state;
        g_autoptr(Problem) problem = NULL;
        Job *first = new_job(b, 1000), *j = (Job *) 1;

        (void) new_job(b, 1000);
        assert_int_equal(job_new(&b->runtime, "start", 1000, &j, &problem), -EDQUOT);
        assert_ptr_equal(j, (Job *) 1);
        assert_string_equal(problem->error, "QuotaExceeded");
        assert_non_null(strstr(problem->text, "2"));

        for (int i = 0; i < 10; i++)
                (void) new_job(b, 0); /* root is counted, not limited */
        (void) new_job(b, 1001);
        job_finish(first, NULL);
        (void) new_job(b, 1000); /* what has ended does not count */
}

static void test_stage(void **state) {
        Bench *b = *state;
        Job *j = new_job(b, 0);

        job_set_stage(j, "network");
        job_set_stage(j, "network");
        assert_string_equal(j->stage, "network");
        assert_string_equal(b->trace->str, "Stage ");
}

/* It only grows, stays in 0..1, changes at most ten times a second but for the end, and what is shown was told. */
static void test_progress(void **state) {
        Bench *b = *state;
        Job *j = new_job(b, 0);

        job_set_progress(j, 0.25);
        assert_true(fabs(j->progress - 0.25) < 1e-9);
        job_set_progress(j, 0.1);
        assert_true(fabs(j->progress - 0.25) < 1e-9);
        job_set_progress(j, -7);
        for (int i = 26; i < 90; i++)
                job_set_progress(j, i / 100.0);
        assert_true(fabs(j->progress - 0.25) < 1e-9);
        assert_string_equal(b->trace->str, "Progress ");
        job_set_progress(j, 7);
        assert_true(fabs(j->progress - 1.0) < 1e-9);
        assert_string_equal(b->trace->str, "Progress Progress ");
        job_set_progress(j, 1.0);
        assert_string_equal(b->trace->str, "Progress Progress ");
}

/* Foreign text: bounded, valid, one line. */
static void test_log(void **state) {
        Bench *b = *state;
        Job *j = new_job(b, 0);
        g_autofree char *fill = g_strnfill(JOB_LOG_TEXT_MAX - 1, 'x');
        g_autofree char *split = g_strconcat(fill, "\xc3\xa4 and more", NULL);
        JobLogLine *l;

        job_log(j, 6, "a\nb\033[1m\x7f\tc");
        l = g_queue_peek_tail(&j->log);
        assert_string_equal(l->text, "a b [1m  c");
        assert_int_equal(l->level, 6);
        assert_true(l->time > 0);
        job_log(j, 6, "bad \xff utf-8");
        l = g_queue_peek_tail(&j->log);
        assert_true(g_utf8_validate(l->text, -1, NULL));
        job_log(j, 6, split);
        l = g_queue_peek_tail(&j->log);
        assert_true(g_utf8_validate(l->text, -1, NULL));
        assert_true(strlen(l->text) <= JOB_LOG_TEXT_MAX + 2); /* U+FFFD for the half character */
        for (unsigned i = 0; i < JOB_LOG_MAX + 50; i++) {
                g_autofree char *text = g_strdup_printf("line %u", i);

                job_log(j, 6, text);
        }
        assert_int_equal(g_queue_get_length(&j->log), JOB_LOG_MAX);
        assert_string_equal(((JobLogLine *) g_queue_peek_head(&j->log))->text, "line 50");
}

static void on_waited(const Problem *problem, void *userdata) {
        Bench *b = userdata;

        g_string_append_printf(b->trace, "waiter:%s ", problem ? problem->error : "done");
}

static void test_done(void **state) {
        Bench *b = *state;
        Job *j = new_job(b, 0);

        (void) waiter_add(j->waiters, on_waited, b);
        job_finish(j, NULL);
        assert_int_equal(j->state, JOB_DONE);
        assert_null(j->problem);
        assert_string_equal(b->trace->str, "State ErrorName Progress finished:done waiter:done ");
        job_finish(j, NULL);
        assert_string_equal(b->trace->str, "State ErrorName Progress finished:done waiter:done ");
}

static void test_failed(void **state) {
        Bench *b = *state;
        Job *j = new_job(b, 0);
        Problem *problem = problem_new("NoSpace", NULL, "the disk is full");

        (void) waiter_add(j->waiters, on_waited, b);
        job_finish(j, problem);
        problem_free(problem); /* it keeps a copy */
        assert_int_equal(j->state, JOB_FAILED);
        assert_string_equal(j->problem->error, "NoSpace");
        assert_string_equal(j->problem->text, "the disk is full");
        assert_string_equal(b->trace->str, "State ErrorName log finished:failed waiter:NoSpace ");
        assert_string_equal(((JobLogLine *) g_queue_peek_tail(&j->log))->text, "the disk is full");
}

static void cancel(Job *j, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "by request");

        g_string_append(((Bench *) userdata)->trace, "cancel ");
        job_finish(j, problem);
}

static void test_cancel(void **state) {
        Bench *b = *state;
        g_autoptr(Problem) early = NULL, late = NULL;
        Job *j = new_job(b, 0);

        assert_true(job_cancel(j, &early) < 0);
        assert_string_equal(early->error, "NotSupported");
        assert_int_equal(j->state, JOB_RUNNING);

        job_set_cancel(j, cancel, b);
        assert_int_equal(job_cancel(j, NULL), 0);
        assert_int_equal(j->state, JOB_CANCELED);
        assert_true(job_cancel(j, &late) < 0);
        assert_string_equal(late->error, "NotSupported");
        assert_true(g_str_has_prefix(b->trace->str, "cancel "));
        assert_null(strstr(b->trace->str + 1, "cancel "));
}

/* The job can be read for its grace time, then it goes. */
static void test_grace(void **state) {
        Bench *b = *state;
        Job *j = new_job(b, 0);
        uint64_t at, now;

        job_finish(j, NULL);
        assert_non_null(g_hash_table_lookup(b->runtime.jobs, GUINT_TO_POINTER(1)));
        assert_true(sd_event_source_get_time(j->grace, &at) >= 0);
        assert_true(sd_event_now(b->runtime.event, CLOCK_MONOTONIC, &now) >= 0);
        assert_true(at > now + JOB_GRACE_USEC - 5 * G_USEC_PER_SEC && at <= now + JOB_GRACE_USEC + 5 * G_USEC_PER_SEC);

        assert_true(sd_event_source_set_time_accuracy(j->grace, 1) >= 0);
        assert_true(sd_event_source_set_time(j->grace, now) >= 0);
        assert_true(sd_event_run(b->runtime.event, 5 * G_USEC_PER_SEC) > 0);
        assert_null(g_hash_table_lookup(b->runtime.jobs, GUINT_TO_POINTER(1)));
        assert_true(g_str_has_suffix(b->trace->str, "gone "));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_new, setup, teardown),
                cmocka_unit_test_setup_teardown(test_quota, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stage, setup, teardown),
                cmocka_unit_test_setup_teardown(test_progress, setup, teardown),
                cmocka_unit_test_setup_teardown(test_log, setup, teardown),
                cmocka_unit_test_setup_teardown(test_done, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
                cmocka_unit_test_setup_teardown(test_grace, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
