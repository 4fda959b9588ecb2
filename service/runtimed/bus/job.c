/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.mcp.Runtime1.Job, and who hears its log. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/leavers.h"
#include "model/problem.h"

#define WATCHERS_MAX 16U

const char *bus_job_error(const Job *job) {
        static char full[128];

        if (!job->problem)
                return "";
        (void) g_snprintf(full, sizeof full, ERROR_PREFIX "%s", job->problem->error);
        return full;
}

/* Connections that were authorized for the job's text hear its log: who made it, who waits for it. */
void bus_watch_job(Bus *b, const Job *job, sd_bus_message *m) {
        GPtrArray *names = g_hash_table_lookup(b->watchers, GUINT_TO_POINTER(job->id));
        const char *sender = sd_bus_message_get_sender(m);

        if (!names) {
                names = g_ptr_array_new_with_free_func(g_free);
                (void) g_hash_table_insert(b->watchers, GUINT_TO_POINTER(job->id), names);
        }
        if (sender && names->len < WATCHERS_MAX && !g_ptr_array_find_with_equal_func(names, sender, g_str_equal, NULL))
                g_ptr_array_add(names, g_strdup(sender));
}

void bus_job_log(Job *job, int level, const char *text, void *userdata) {
        Bus *b = userdata;
        GPtrArray *names = g_hash_table_lookup(b->watchers, GUINT_TO_POINTER(job->id));
        char *path = bus_job_path(job);

        for (guint i = 0; names && i < names->len; i++) {
                __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *m = NULL;

                if (sd_bus_message_new_signal(b->bus, &m, path, BUS_INTERFACE("Job"), "LogMessage") >= 0 &&
                        sd_bus_message_append(m, "us", (uint32_t) level, text) >= 0)
                        (void) sd_bus_send_to(b->bus, m, names->pdata[i], NULL);
        }
        free(path);
}

static int begin(sd_bus_message *m, Job *job, CallRun run, sd_bus_error *error) {
        Call *c = call_new(bus_of(job->runtime), m, "Job", NULL, NULL, run);

        call_set_job(c, job);
        return call_begin(c, error);
}

static int run_cancel(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        Job *job;
        int r;

        r = call_job(c, &job, error);
        if (r < 0)
                return r;
        if (job_cancel(job, &problem) < 0)
                return bus_error_problem(error, problem);
        return sd_bus_reply_method_return(c->message, NULL);
}

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, run_cancel, error);
}

/* ---- Wait ---- */

typedef struct JobWait {
        Job *job;
        sd_bus_message *message;
        Leaver *leaver;
        Waiter *waiter;
} JobWait;

static void wait_free(JobWait *w) {
        (void) leaver_forget(w->leaver);
        sd_bus_message_unref(w->message);
        g_free(w);
}

static int reply_result(sd_bus_message *m, const Job *job) {
        return sd_bus_reply_method_return(
                m, "sss", job_state_to_string(job->state), bus_job_error(job), job->problem ? job->problem->text : "");
}

static void on_job_end(const Problem *problem, void *userdata) {
        JobWait *w = userdata;

        (void) reply_result(w->message, w->job);
        wait_free(w);
}

static void on_waiter_gone(void *userdata) {
        JobWait *w = userdata;

        w->waiter = waiter_cancel(w->waiter);
        wait_free(w);
}

#define JOB_WAITS_MAX 256U

static int run_wait(Call *c, sd_bus_error *error) {
        JobWait *w;
        Job *job;
        int r;

        r = call_job(c, &job, error);
        if (r < 0)
                return r;
        if (job_state_is_finished(job->state))
                return reply_result(c->message, job);
        if (job->waiters->len >= JOB_WAITS_MAX)
                return bus_error_named(error, "QuotaExceeded",
                        "%u calls of Wait are pending for job %u, the limit is %u", job->waiters->len, job->id,
                        JOB_WAITS_MAX);
        w = g_new0(JobWait, 1);
        *w = (JobWait){.job = job, .message = sd_bus_message_ref(c->message)};
        w->leaver = leaver_watch(c->bus, c->message, on_waiter_gone, w);
        bus_watch_job(c->bus, job, c->message);
        w->waiter = waiter_add(job->waiters, on_job_end, w);
        return 0;
}

static int method_wait(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, run_wait, error);
}

static int run_get_log(Call *c, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        Job *job;
        int r;

        r = call_job(c, &job, error);
        if (r < 0)
                return r;
        r = answer_list_new(c->message, "(tus)", &reply);
        for (GList *l = job->log.head; l && r >= 0; l = l->next) {
                JobLogLine *line = l->data;

                r = sd_bus_message_append(reply, "(tus)", line->time, line->level, line->text);
        }
        return answer_list(reply, r);
}

static int method_get_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, run_get_log, error);
}

/* ---- Properties ---- */

BUS_GETTER(get_id) {
        return sd_bus_message_append(reply, "u", ((Job *) userdata)->id);
}

BUS_GETTER(get_kind) {
        return sd_bus_message_append(reply, "s", ((Job *) userdata)->kind);
}

BUS_GETTER(get_subject) {
        g_autofree char *subject = bus_job_subject(userdata);

        return sd_bus_message_append(reply, "o", subject);
}

BUS_GETTER(get_owner) {
        return sd_bus_message_append(reply, "u", ((Job *) userdata)->owner);
}

BUS_GETTER(get_state) {
        return sd_bus_message_append(reply, "s", job_state_to_string(((Job *) userdata)->state));
}

BUS_GETTER(get_progress) {
        return sd_bus_message_append(reply, "d", ((Job *) userdata)->progress);
}

BUS_GETTER(get_stage) {
        return sd_bus_message_append(reply, "s", ((Job *) userdata)->stage);
}

BUS_GETTER(get_started_at) {
        return sd_bus_message_append(reply, "t", ((Job *) userdata)->started_at);
}

BUS_GETTER(get_error_name) {
        return sd_bus_message_append(reply, "s", bus_job_error(userdata));
}

const sd_bus_vtable job_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Wait", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", result, "s", error_name, "s", message),
                method_wait, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "GetLog", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(tus)", lines), method_get_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Id", "u", get_id, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Kind", "s", get_kind, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Subject", "o", get_subject, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Owner", "u", get_owner, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Progress", "d", get_progress, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Stage", "s", get_stage, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("StartedAt", "t", get_started_at, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ErrorName", "s", get_error_name, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_SIGNAL_WITH_ARGS("LogMessage", SD_BUS_ARGS("u", level, "s", text), 0),
        SD_BUS_VTABLE_END,
};
