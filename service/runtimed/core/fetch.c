/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the runs of mcp-fetch. */
#include "core/fetch.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <syslog.h>

#include "model/name.h"

struct Fetch {
        Runtime *runtime;
        Job *job;
        double from, to;
        Helper *helper;
        sd_event_source *timer;
        json_t *result;
        Problem *problem;
        bool resolved, stopping;
        const FetchOps *ops;
        void *userdata;
};

static void fetch_free(Fetch *f) {
        sd_event_source_disable_unref(f->timer);
        (void) helper_free(f->helper);
        json_decref(f->result);
        problem_free(f->problem);
        g_free(f);
}

static void on_inactive(int r, const char *text, void *userdata) {
        Fetch *f = userdata;

        f->helper = helper_free(f->helper);
        if (r < 0 && r != -ENOENT && !f->problem)
                (void) problem_set(
                        &f->problem, "RegistryFailed", NULL, "the unit of mcp-fetch could not be ended: %s", text);
        if (!f->result && !f->problem)
                (void) problem_set(&f->problem, "RegistryFailed", NULL,
                        "mcp-fetch ended without an answer; see: journalctl -u 'mcp-fetch@*'");
        f->ops->done(f->problem ? NULL : f->result, f->problem, f->userdata);
        fetch_free(f);
}

static void fetch_stop(Fetch *f) {
        int r;

        if (f->stopping)
                return;
        f->stopping = true;
        f->timer = sd_event_source_disable_unref(f->timer);
        r = helper_stop(f->helper, on_inactive, f);
        if (r < 0)
                on_inactive(r, g_strerror(-r), f);
}

static const char *string_or(json_t *message, const char *key, const char *fallback) {
        const char *s = json_string_value(json_object_get(message, key));

        return s ?: fallback;
}

/* It spoke with strangers: its error is one of those it may give, its text is text. */
static const char *known_error(const char *name) {
        static const char *const known[] = {
                "RegistryFailed", "UnsupportedImage", "DigestMismatch", "LimitExceeded", "NoSpace", "ToolMissing"};

        for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
                if (strcmp(known[i], name) == 0)
                        return known[i];
        return "RegistryFailed";
}

static void take_failure(Fetch *f, json_t *message) {
        g_autofree char *text = plain_text(string_or(message, "message", "mcp-fetch failed"), JOB_LOG_TEXT_MAX);

        (void) problem_set(&f->problem, known_error(string_or(message, "error", "")), NULL, "%s", text);
        fetch_stop(f);
}

static void take_resolved(Fetch *f, json_t *message) {
        const char *digest = string_or(message, "digest", ""), *manifest = string_or(message, "manifest", "");
        json_int_t size = json_integer_value(json_object_get(message, "size"));

        if (f->resolved)
                return;
        f->resolved = true;
        if (digest_is_valid(digest) && digest_is_valid(manifest) && size >= 0) {
                if (f->ops->resolved)
                        f->ops->resolved(f, digest, manifest, (uint64_t) size,
                                json_string_value(json_object_get(message, "artifact")), f->userdata);
                return;
        }
        (void) problem_set(&f->problem, "RegistryFailed", NULL, "mcp-fetch gave no digest");
        fetch_stop(f);
}

static void on_message(Helper *h, json_t *message, void *userdata) {
        const char *type = json_string_value(json_object_get(message, "type"));
        Fetch *f = userdata;

        if (f->stopping)
                return;
        if (strcmp(type, "progress") == 0) {
                double fraction = CLAMP(json_number_value(json_object_get(message, "fraction")), 0.0, 1.0);

                job_set_stage(f->job, string_or(message, "stage", ""));
                job_set_progress(f->job, f->from + (f->to - f->from) * fraction);
        } else if (strcmp(type, "log") == 0)
                job_log(f->job, LOG_INFO, string_or(message, "text", ""));
        else if (strcmp(type, "resolved") == 0)
                take_resolved(f, message);
        else if (strcmp(type, "done") == 0) {
                f->result = json_incref(message);
                fetch_stop(f);
        } else if (strcmp(type, "failed") == 0)
                take_failure(f, message);
}

static void on_end(Helper *h, int r, const char *text, void *userdata) {
        Fetch *f = userdata;

        if (r < 0)
                (void) problem_set(&f->problem, "RegistryFailed", NULL, "mcp-fetch did not start: %s", text);
        fetch_stop(f);
}

static const HelperOps helper_ops = {.message = on_message, .end = on_end};

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        Fetch *f = userdata;

        (void) problem_set(&f->problem, "Timeout", NULL,
                "the registry was not done after %" PRIu64 " s (PullTimeoutSec= in runtime.conf)",
                f->runtime->config->pull_timeout / G_USEC_PER_SEC);
        fetch_stop(f);
        return 0;
}

int fetch_start(Runtime *rt, Job *job, double from, double to, json_t *message, int *fds, const char *const *names,
        size_t n, const FetchOps *ops, void *userdata, Fetch **ret) {
        g_autofree char *unit = g_strdup_printf("mcp-fetch@%u.service", ++rt->last_fetch);
        Fetch *f = g_new0(Fetch, 1);
        int r;

        *f = (Fetch){.runtime = rt, .job = job, .from = from, .to = to, .ops = ops, .userdata = userdata};
        r = helper_start(rt->launch, unit, message, fds, names, n, &helper_ops, f, &f->helper);
        if (r >= 0) {
                r = sd_event_add_time_relative(
                        rt->event, &f->timer, CLOCK_MONOTONIC, rt->config->pull_timeout, 0, on_timeout, f);
                if (r < 0)
                        systemd_stop_and_forget(rt->systemd, unit);
        }
        if (r < 0) {
                fetch_free(f);
                return r;
        }
        *ret = f;
        return 0;
}

int fetch_go(Fetch *f, uint64_t bytes) {
        return helper_send(f->helper,
                json_pack("{s:s, s:I}", "type", "go", "bytes", (json_int_t) MIN(bytes, (uint64_t) INT64_MAX)));
}

Fetch *fetch_cancel(Fetch *f) {
        if (!f)
                return NULL;
        systemd_stop_and_forget(f->runtime->systemd, helper_unit(f->helper));
        fetch_free(f);
        return NULL;
}
