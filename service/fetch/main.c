/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-fetch: the main process of mcp-fetch@JOB.service, the only helper with images that has a network. It carries what
 * a registry has or shall have; that a blob is what its digest says is looked at again by a worker without any network.
 */
#include <errno.h>
#include <glib.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "fetch/fetch.h"
#include "shared/crash-point.h"

static int run(struct job *job, json_t **ret_done, struct failure *f) {
        const char *op = job_string(job, "op");
        int r;

        if (g_strcmp0(op, "push") == 0)
                return push_run(job, ret_done, f);
        if (g_strcmp0(op, "pull") != 0)
                return failf(f, -EINVAL, FAILURE_SPEC, "op \"%s\" is unknown; known are pull and push", op ?: "");
        r = pull_run(job, ret_done, f);
        if (r >= 0 && fsync(job_fd(job, "archive")) < 0)
                r = fail_errno(f, -errno, "making the archive durable");
        return r;
}

/* Tells the outcome. A job that failed is no failure of this program: it exits 0 once the daemon knows. */
static int work(struct job *job) {
        struct failure f = {};
        json_t *done = NULL;
        int r;

        r = run(job, &done, &f);
        if (r >= 0) {
                CRASH_POINT(FETCH_WRITTEN);
                r = job_done(job, done);
                CRASH_POINT(FETCH_DONE);
        } else {
                json_decref(done);
                (void) fail_errno(&f, r, "the job");
                r = job_failed(job, &f);
        }
        failure_clear(&f);
        return r;
}

int main(int argc, char **argv) {
        struct job job;
        int r;

        if (argc > 1) {
                (void) fprintf(stderr, "mcp-fetch takes no argument; it is started as mcp-fetch@JOB.service\n");
                return EXIT_FAILURE;
        }
        (void) signal(SIGXFSZ, SIG_IGN); /* an error of the write, which has a name */
        (void) signal(SIGPIPE, SIG_IGN);
        if (!setlocale(LC_CTYPE, "C.UTF-8"))
                return fprintf(stderr, "the locale C.UTF-8 is missing\n"), EXIT_FAILURE;
        r = job_receive(&job);
        if (r > 0) {
                (void) sd_notify(0, "READY=1");
                CRASH_POINT(FETCH_TOLD);
                r = work(&job);
        }
        job_clear(&job);
        if (r < 0) {
                (void) fprintf(stderr, "launch socket: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
