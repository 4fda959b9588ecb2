/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "worker/job.h"

/* One registry, and how skopeo speaks to it. */

struct skopeo {
        struct job *job;
        const char *program;
        const char *registry; /* host[:port], for messages */
        bool insecure;        /* plain HTTP, or a certificate that nobody vouches for, will do */
        int credentials;      /* an auth file as containers-auth.json(5) has it; -1: anonymous */
        const char *home;     /* where skopeo may write */
        uint64_t file_max;    /* bytes of one file that it writes; 0: no limit */
};

/* Is asked a few times a second while skopeo runs; a negative errno with a failure ends it. */
typedef int (*SkopeoTick)(pid_t pid, void *userdata, struct failure *f);

/* Runs `skopeo VERB ARGUMENTS` with the options for credentials and TLS, which begin with "--" and prefix ("src-" or
 * "dest-"; "" for verbs that know one side). output NULL, or what it prints, at most output_max bytes. Its log goes to
 * the job. -EIO with the reason where it fails, -ECONNRESET when the daemon has gone. */
int skopeo_run(const struct skopeo *s, const char *verb, const char *prefix, const char *const *arguments,
        GString *output, size_t output_max, SkopeoTick tick, void *userdata, struct failure *f);
