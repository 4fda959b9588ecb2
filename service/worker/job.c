/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The launch connection of one job. */
#include "worker/job.h"

#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <string.h>

#include "shared/fd.h"
#include "shared/wire.h"

#define PROGRESS_USEC (100U * 1000U)

/* Every descriptor has a name. */
static int check_fds(const struct job *job) {
        const json_t *names = json_object_get(job->launch, "fds");

        if (wire_fds_lost(job->launch, job->n_fds))
                return -EMFILE;
        if (json_array_size(names) != job->n_fds)
                return -EBADMSG;
        for (size_t i = 0; i < job->n_fds; i++)
                if (!json_is_string(json_array_get(names, i)))
                        return -EBADMSG;
        return 0;
}

static int receive(struct job *job) {
        int r;

        for (;;) {
                r = wire_recv(job->sock, &job->launch, job->fds, &job->n_fds);
                if (r <= 0)
                        return r;
                if (g_str_equal(wire_type(job->launch), "goodbye"))
                        return 0;
                if (g_str_equal(wire_type(job->launch), "launch"))
                        break;
                /* Unknown types are ignored, what came with them is not kept. */
                while (job->n_fds > 0)
                        (void) close_fd(job->fds[--job->n_fds]);
                json_decref(g_steal_pointer(&job->launch));
        }
        r = check_fds(job);
        return r < 0 ? r : 1;
}

int job_receive(struct job *job) {
        struct failure f = {};
        int r;

        *job = (struct job){.sock = -1};
        job->sock = wire_connect(NULL);
        if (job->sock < 0)
                return job->sock;
        r = receive(job);
        if (r < 0) {
                (void) fail_errno(&f, r, "the job could not be taken");
                (void) job_failed(job, &f);
                failure_clear(&f);
        }
        return r;
}

void job_clear(struct job *job) {
        while (job->n_fds > 0)
                (void) close_fd(job->fds[--job->n_fds]);
        json_decref(g_steal_pointer(&job->launch));
        job->sock = close_fd(job->sock);
}

int job_fd(const struct job *job, const char *name) {
        const json_t *names = json_object_get(job->launch, "fds");

        for (size_t i = 0; i < job->n_fds; i++)
                if (g_strcmp0(json_string_value(json_array_get(names, i)), name) == 0)
                        return job->fds[i];
        return -1;
}

int job_need_fd(const struct job *job, const char *name, struct failure *f) {
        int fd = job_fd(job, name);

        if (fd < 0)
                return failf(f, -EINVAL, FAILURE_SPEC, "the job has no descriptor \"%s\"", name);
        return fd;
}

const char *job_string(const struct job *job, const char *key) {
        return json_string_value(json_object_get(job->launch, key));
}

void job_progress(struct job *job, double fraction, const char *stage) {
        uint64_t now = now_monotonic();

        if (now - job->last_progress < PROGRESS_USEC)
                return;
        job->last_progress = now;
        (void) wire_send_new(job->sock, json_pack("{s:s, s:f, s:s}", "type", "progress", "fraction",
                                                CLAMP(fraction, 0.0, 1.0), "stage", stage));
}

void job_log(struct job *job, int level, const char *format, ...) {
        g_autofree char *text = NULL;
        g_autofree char *valid = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        for (char *p = text; *p; p++)
                if ((unsigned char) *p < 0x20)
                        *p = '?';
        valid = g_utf8_make_valid(text, -1);
        (void) wire_send_new(job->sock, json_pack("{s:s, s:i, s:s}", "type", "log", "level", level, "text", valid));
}

void job_digest(struct job *job, const char *digest) {
        (void) wire_send_new(job->sock, json_pack("{s:s, s:s}", "type", "digest", "digest", digest));
}

int job_tell(struct job *job, json_t *message) {
        return message ? wire_send_new(job->sock, message) : -ENOMEM;
}

int job_ask(struct job *job, json_t *message, const char *answer, json_t **ret, int *fds, size_t *ret_n_fds) {
        json_t *m = NULL;
        size_t n = 0;
        int r;

        r = job_tell(job, message);
        if (r >= 0)
                r = wire_recv(job->sock, &m, fds, &n);
        if (r <= 0)
                return r < 0 ? r : -ECONNRESET;
        if (!g_str_equal(wire_type(m), answer))
                r = -EBADMSG;
        else if (wire_fds_lost(m, n))
                r = -EMFILE;
        if (r < 0) {
                while (n > 0)
                        (void) close_fd(fds[--n]);
                json_decref(m);
                return r;
        }
        *ret = m;
        *ret_n_fds = n;
        return 0;
}

int job_done(struct job *job, json_t *done) {
        if (!done || json_object_set_new(done, "type", json_string("done")) < 0) {
                json_decref(done);
                return -ENOMEM;
        }
        return wire_send_new(job->sock, done);
}

int job_failed(struct job *job, const struct failure *f) {
        return wire_send_new(
                job->sock, json_pack("{s:s, s:s, s:s}", "type", "failed", "error", f->name ? f->name : FAILURE_OTHER,
                                   "message", f->message ? f->message : "the job failed without a reason"));
}
