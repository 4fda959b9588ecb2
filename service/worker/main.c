/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-image-worker: one job, told over the launch socket, done with the descriptors that came with it. */
#include <errno.h>
#include <glib.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "shared/crash-point.h"
#include "worker/format.h"
#include "worker/hash.h"
#include "worker/import.h"
#include "worker/initrd.h"
#include "worker/job.h"
#include "worker/nanos.h"
#include "worker/old-state.h"
#include "worker/profile.h"
#include "worker/resources.h"
#include "worker/volume.h"

static const struct {
        const char *name;
        int (*run)(struct job *job, json_t **ret_done, struct failure *f);
} operations[] = {
        {"import", import_run},
        {"initrd", initrd_run},
        {"hash", hash_run},
        {"format", format_run},
        {"volumes", volume_run},
        {"nanos", nanos_run},
        {"nanos-pack", nanos_pack_run},
        {"nanos-unpack", nanos_unpack_run},
        {"old-state", old_state_run},
        {"profile-ingest", profile_ingest_run},
        {"profile-pack", profile_pack_run},
        {"profile-unpack", profile_unpack_run},
        {"profile-scan", profile_scan_run},
        {"profile-check", profile_check_run},
        {"qemu-version", qemu_version_run},
};

static int run(struct job *job, json_t **ret_done, struct failure *f) {
        g_autoptr(GString) known = g_string_new(NULL);
        const char *op = job_string(job, "op");

        for (size_t i = 0; i < G_N_ELEMENTS(operations); i++)
                if (g_strcmp0(op, operations[i].name) == 0)
                        return operations[i].run(job, ret_done, f);
        for (size_t i = 0; i < G_N_ELEMENTS(operations); i++)
                g_string_append_printf(known, "%s%s", i > 0 ? ", " : "", operations[i].name);
        return failf(f, -EINVAL, FAILURE_SPEC, "op \"%s\" is unknown; known are %s", op ?: "", known->str);
}

/* A crash of the host must not leave half of what is recorded. */
static int make_durable(struct job *job, struct failure *f) {
        static const char *const written[] = {"output", "archive"};

        for (size_t i = 0; i < G_N_ELEMENTS(written); i++)
                if (job_fd(job, written[i]) >= 0 && fsync(job_fd(job, written[i])) < 0)
                        return failf(f, -errno, errno == ENOSPC || errno == EDQUOT ? FAILURE_SPACE : FAILURE_OTHER,
                                "the output could not be made durable: %s", g_strerror(errno));
        return 0;
}

/* Tells the outcome. A job that failed is no failure of this program: it exits 0 once the daemon knows. */
static int work(struct job *job) {
        struct failure f = {};
        json_t *done = NULL;
        int r;

        r = resources_limit(job, &f);
        if (r >= 0)
                r = run(job, &done, &f);
        if (r >= 0)
                r = make_durable(job, &f);
        if (r >= 0) {
                CRASH_POINT(WORKER_WRITTEN);
                r = job_done(job, done);
                CRASH_POINT(WORKER_DONE);
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

        /* A limit on file sizes is then an error of the write, which has a name. */
        (void) signal(SIGXFSZ, SIG_IGN);

        /* Names in tars are bytes or UTF-8, whatever the host speaks; libarchive converts by locale. */
        if (!setlocale(LC_CTYPE, "C.UTF-8"))
                return fprintf(stderr, "the locale C.UTF-8 is missing\n"), EXIT_FAILURE;

        r = job_receive(&job);
        if (r > 0) {
                (void) sd_notify(0, "READY=1");
                CRASH_POINT(WORKER_TOLD);
                r = work(&job);
        }
        job_clear(&job);
        if (r < 0) {
                fprintf(stderr, "launch socket: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
