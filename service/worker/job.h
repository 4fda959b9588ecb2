/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "shared/launch-wire.h"
#include "worker/failure.h"

/* The one job of this process: its launch message and descriptors, and what it tells while it works. */

struct job {
        int sock;
        json_t *launch;
        int fds[LAUNCH_FDS_MAX];
        size_t n_fds;
        uint64_t last_progress; /* CLOCK_MONOTONIC, microseconds */
};

/* Connects, says hello and waits for the launch message. 1, 0 when there is nothing to do, or a negative errno; the daemon is told
 * that the job has failed then. */
int job_receive(struct job *job);
void job_clear(struct job *job);

/* The descriptor that came under name, or -1. Still the job's. */
int job_fd(const struct job *job, const char *name);
/* Same, and InvalidSpec when it is missing. */
int job_need_fd(const struct job *job, const char *name, struct failure *f);
/* A string of the launch message; NULL when missing. */
const char *job_string(const struct job *job, const char *key);

/* At most ten a second are sent. A daemon that is gone is noticed at the end: progress never fails. */
void job_progress(struct job *job, double fraction, const char *stage);
void job_log(struct job *job, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What is about to be unpacked: the daemon ends the job where it has that already. */
void job_digest(struct job *job, const char *digest);

/* Asks the daemon for something and waits for the answer, whose type is `answer`. message's reference is taken; *ret is
 * the caller's, and so are the descriptors (room for LAUNCH_FDS_MAX). -EBADMSG for another answer, -ECONNRESET when the
 * daemon has gone. */
int job_ask(struct job *job, json_t *message, const char *answer, json_t **ret, int *fds, size_t *ret_n_fds);
/* Says something that needs no answer; the reference is taken. */
int job_tell(struct job *job, json_t *message);

/* The last message. done's reference is taken. */
int job_done(struct job *job, json_t *done);
int job_failed(struct job *job, const struct failure *f);
