/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns jobs from their beginning to the end of their grace time. */
#include "core/job.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "core/builds.h"
#include "core/job-record.h"
#include "core/quota.h"
#include "core/users.h"
#include "shared/fd.h"

static void log_line_free(void *p) {
        JobLogLine *l = p;

        g_free(l->text);
        g_free(l);
}

char *plain_text(const char *text, size_t max) {
        g_autofree char *bounded = g_strndup(text, max);
        char *plain = g_utf8_make_valid(bounded, -1);

        for (char *p = plain; *p; p++)
                if ((unsigned char) *p < 0x20 || *p == 0x7f)
                        *p = ' ';
        return plain;
}

static void changing(Job *j, const char *property) {
        j->runtime->observer->job_changing(j, property, j->runtime->observer_data);
}

/* No number comes twice, in no daemon's life: a caller may still hold the path of a job that nobody remembers. */
static uint32_t next_id(Runtime *rt) {
        do
                rt->last_job = rt->last_job < UINT32_MAX ? rt->last_job + 1 : 1;
        while (g_hash_table_contains(rt->jobs, GUINT_TO_POINTER(rt->last_job)));
        return rt->last_job;
}

int job_new(Runtime *rt, const char *kind, uint32_t owner, Job **ret, Problem **ret_problem) {
        Job *j;
        int r;

        r = quota_check_job(rt, owner, ret_problem);
        if (r < 0)
                return r;
        rt->observer->runtime_changing("JobCount", rt->observer_data);
        j = g_new0(Job, 1);
        *j = (Job){.runtime = rt,
                .id = next_id(rt),
                .kind = kind,
                .owner = owner,
                .owner_name = g_strdup(users_name(rt->users, owner)),
                .state = JOB_RUNNING,
                .stage = g_strdup(""),
                .started_at = now_realtime(),
                .waiters = waiters_new(),
                .log = G_QUEUE_INIT};
        (void) g_hash_table_insert(rt->jobs, GUINT_TO_POINTER(j->id), j);
        *ret = j;
        return 0;
}

void job_announce(Job *j) {
        job_record_save(j);
        j->runtime->observer->job_new(j, j->runtime->observer_data);
}

void job_set_cancel(Job *j, void (*cancel)(Job *job, void *userdata), void *userdata) {
        j->cancel = cancel;
        j->cancel_data = userdata;
}

void job_set_queued(Job *j, bool queued) {
        JobState state = queued ? JOB_QUEUED : JOB_RUNNING;

        if (j->state == state)
                return;
        changing(j, "State");
        j->state = state;
}

void job_set_stage(Job *j, const char *stage) {
        g_autofree char *plain = plain_text(stage, JOB_STAGE_MAX);

        if (strcmp(j->stage, plain) == 0)
                return;
        changing(j, "Stage");
        g_free(j->stage);
        j->stage = g_steal_pointer(&plain);
}

void job_set_progress(Job *j, double progress) {
        uint64_t t = now_monotonic();

        progress = CLAMP(progress, 0.0, 1.0);
        if (progress <= j->progress || (progress < 1.0 && t - j->progress_signalled < JOB_PROGRESS_USEC))
                return;
        j->progress_signalled = t;
        changing(j, "Progress");
        j->progress = progress; /* what is not told is not shown either */
}

void job_log(Job *j, int level, const char *text) {
        JobLogLine *l = g_new(JobLogLine, 1);

        *l = (JobLogLine){now_realtime(), (uint32_t) level, plain_text(text, JOB_LOG_TEXT_MAX)};
        g_queue_push_tail(&j->log, l);
        if (g_queue_get_length(&j->log) > JOB_LOG_MAX)
                log_line_free(g_queue_pop_head(&j->log));
        j->runtime->observer->job_log(j, level, l->text, j->runtime->observer_data);
}

static int on_grace(sd_event_source *source, uint64_t usec, void *userdata) {
        Job *j = userdata;
        Runtime *rt = j->runtime;

        job_record_remove(j);
        rt->observer->job_gone(j, rt->observer_data);
        (void) g_hash_table_remove(rt->jobs, GUINT_TO_POINTER(j->id));
        return 0;
}

void job_arm_grace(Job *j, uint64_t usec) {
        (void) sd_event_add_time_relative(
                j->runtime->event, &j->grace, CLOCK_MONOTONIC, usec, G_USEC_PER_SEC, on_grace, j);
}

void job_finish(Job *j, const Problem *problem) {
        Runtime *rt = j->runtime;

        if (job_state_is_finished(j->state))
                return;
        j->cancel = NULL;
        builds_leave(j);
        changing(j, "State");
        changing(j, "ErrorName");
        rt->observer->runtime_changing("JobCount", rt->observer_data);
        if (problem) {
                j->state = strcmp(problem->error, "Canceled") == 0 ? JOB_CANCELED : JOB_FAILED;
                j->problem = problem_new(problem->error, problem->key, "%s", problem->text);
                job_log(j, LOG_ERR, problem->text);
        } else {
                j->state = JOB_DONE;
                job_set_progress(j, 1.0);
        }
        j->ended_at = now_realtime();
        job_record_save(j);
        job_arm_grace(j, JOB_GRACE_USEC);
        rt->observer->job_finished(j, rt->observer_data);
        waiters_fire(j->waiters, j->problem);
}

int job_cancel(Job *j, Problem **ret_problem) {
        if (job_state_is_finished(j->state))
                return problem_set(ret_problem, "NotSupported", NULL, "job %u has ended already (%s)", j->id,
                        job_state_to_string(j->state));
        if (!j->cancel)
                return problem_set(ret_problem, "NotSupported", NULL, "a %s job cannot be canceled", j->kind);
        j->cancel(j, j->cancel_data);
        return 0;
}

void job_free(Job *j) {
        if (!j)
                return;
        sd_event_source_disable_unref(j->grace);
        g_free(j->build);
        problem_free(j->problem);
        g_queue_clear_full(&j->log, log_line_free);
        g_ptr_array_unref(j->waiters);
        g_free(j->owner_name);
        g_free(j->vm);
        g_free(j->image);
        g_free(j->image_id);
        g_free(j->stage);
        g_free(j);
}
