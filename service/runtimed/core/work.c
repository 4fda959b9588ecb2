/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the runs of image workers. */
#include "core/work.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>

#include "shared/fd.h"

#define WORK_PROGRESS_USEC (90ULL * 1000ULL) /* a little less than what a worker keeps to */

struct Work {
        Runtime *runtime;
        Job *job;
        double from, to;
        Helper *helper;
        json_t *result;
        Problem *problem;
        bool stopping;
        sd_event_source *deadline;
        uint64_t told; /* when progress was heard last */
        uint32_t n_lines;
        WorkMessage message;
        WorkDone done;
        void *userdata;
};

static void work_free(Work *w) {
        (void) helper_free(w->helper);
        sd_event_source_disable_unref(w->deadline);
        json_decref(w->result);
        problem_free(w->problem);
        g_free(w);
}

static void on_inactive(int r, const char *text, void *userdata) {
        Work *w = userdata;

        w->helper = helper_free(w->helper);
        if (r < 0 && r != -ENOENT && !w->problem)
                (void) problem_set(&w->problem, "BuildFailed", NULL, "the worker's unit could not be ended: %s", text);
        if (!w->result && !w->problem)
                (void) problem_set(&w->problem, "BuildFailed", NULL,
                        "the worker ended without an answer; see: journalctl -u 'mcp-image@*'");
        w->done(w->problem ? NULL : w->result, w->problem, w->userdata);
        work_free(w);
}

/* The answer counts only once nobody holds the files any more. */
static void work_stop(Work *w) {
        int r;

        if (w->stopping)
                return;
        w->stopping = true;
        r = helper_stop(w->helper, on_inactive, w);
        if (r < 0)
                on_inactive(r, g_strerror(-r), w);
}

static const char *string_or(json_t *message, const char *key, const char *fallback) {
        const char *s = json_string_value(json_object_get(message, key));

        return s ?: fallback;
}

/* The worker read foreign bytes: its error is one of those it may give, its text is text. */
static const char *known_error(const char *name) {
        static const char *const known[] = {"UnsupportedImage", "DigestMismatch", "LimitExceeded", "NoSpace",
                "InvalidSpec", "NotSupported", "BuildFailed", "ToolMissing", "ProfileDamaged"};

        for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
                if (strcmp(known[i], name) == 0)
                        return known[i];
        return "BuildFailed";
}

/* A worker tells at most ten times a second; one that does not keep to it is heard no more often. */
static void hear_progress(Work *w, json_t *message) {
        double fraction = json_number_value(json_object_get(message, "fraction"));
        uint64_t now = now_monotonic();

        if (now - w->told < WORK_PROGRESS_USEC)
                return;
        w->told = now;
        if (!w->job) {
                if (w->message)
                        w->message(message, w->userdata);
                return;
        }
        job_set_stage(w->job, string_or(message, "stage", ""));
        job_set_progress(w->job, w->from + (w->to - w->from) * CLAMP(fraction, 0.0, 1.0));
}

static void hear_log(Work *w, json_t *message) {
        if (!w->job || w->n_lines > WORK_LOG_MAX)
                return;
        if (w->n_lines++ == WORK_LOG_MAX)
                job_log(w->job, LOG_WARNING, "the worker has more to say, and that is left out");
        else
                job_log(w->job, LOG_INFO, string_or(message, "text", ""));
}

static void hear_failure(Work *w, json_t *message) {
        g_autofree char *text = plain_text(string_or(message, "message", "the worker failed"), JOB_LOG_TEXT_MAX);

        (void) problem_set(&w->problem, known_error(string_or(message, "error", "")), NULL, "%s", text);
        work_stop(w);
}

static void on_message(Helper *h, json_t *message, void *userdata) {
        Work *w = userdata;
        const char *type = json_string_value(json_object_get(message, "type"));

        if (w->stopping)
                return;
        if (strcmp(type, "progress") == 0)
                hear_progress(w, message);
        else if (strcmp(type, "log") == 0)
                hear_log(w, message);
        else if (strcmp(type, "done") == 0) {
                w->result = json_incref(message);
                work_stop(w);
        } else if (strcmp(type, "failed") == 0)
                hear_failure(w, message);
        else if (w->message)
                w->message(message, w->userdata);
}

static void on_end(Helper *h, int r, const char *text, void *userdata) {
        Work *w = userdata;

        if (r < 0)
                (void) problem_set(&w->problem, "BuildFailed", NULL, "the image worker did not start: %s", text);
        work_stop(w);
}

static const HelperOps ops = {.message = on_message, .end = on_end};

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Work *w = userdata;

        if (!w->problem && !w->result)
                (void) problem_set(&w->problem, "LimitExceeded", NULL,
                        "the image worker took longer than %" PRIu64 " s (WorkerTimeSec= in runtime.conf)",
                        w->runtime->config->worker_time / G_USEC_PER_SEC);
        work_stop(w);
        return 0;
}

static int start(Runtime *rt, const char *instance, const Work *work, json_t *message, int *fds,
        const char *const *names, size_t n, Work **ret) {
        g_autofree char *unit = g_strdup_printf("mcp-image@%s.service", instance);
        Work *w = g_new(Work, 1);
        int r;

        *w = *work;
        (void) json_object_set_new(message, "memory", json_integer((json_int_t) rt->config->worker_memory_mib << 20));
        (void) json_object_set_new(message, "cpu", json_integer(rt->config->worker_cpu_sec));
        r = helper_start(rt->launch, unit, message, fds, names, n, &ops, w, &w->helper);
        if (r >= 0)
                r = sd_event_add_time_relative(
                        rt->event, &w->deadline, CLOCK_MONOTONIC, rt->config->worker_time, 0, on_deadline, w);
        if (r < 0) {
                work_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

int work_start(Runtime *rt, Job *job, double from, double to, json_t *message, int *fds, const char *const *names,
        size_t n, WorkDone done, void *userdata, Work **ret) {
        g_autofree char *instance = g_strdup_printf("%u", ++rt->last_work);
        Work w = {.runtime = rt, .job = job, .from = from, .to = to, .done = done, .userdata = userdata};

        return start(rt, instance, &w, message, fds, names, n, ret);
}

int work_start_as(Runtime *rt, const char *instance, json_t *message, int *fds, const char *const *names, size_t n,
        WorkDone done, void *userdata, Work **ret) {
        Work w = {.runtime = rt, .done = done, .userdata = userdata};

        return start(rt, instance, &w, message, fds, names, n, ret);
}

void work_on_message(Work *w, WorkMessage message) {
        w->message = message;
}

int work_answer(Work *w, json_t *message, int *fds, size_t n) {
        int r = w->stopping ? -ENOTCONN : helper_send_fds(w->helper, message, fds, n);

        json_decref(message);
        for (size_t i = 0; i < n; i++)
                fds[i] = close_fd(fds[i]);
        return r;
}

Work *work_cancel(Work *w) {
        if (!w)
                return NULL;
        systemd_stop_and_forget(w->runtime->systemd, helper_unit(w->helper));
        work_free(w);
        return NULL;
}

json_t *work_roots(const Runtime *rt) {
        json_t *roots = json_array();

        for (char **r = rt->config->volume_roots; *r; r++)
                (void) json_array_append_new(roots, json_string(*r));
        return roots;
}
