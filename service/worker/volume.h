/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"
#include "worker/layer.h"

/* Volumes: what the host's paths or the caller's tars hold becomes one SquashFS, each of them its entry 0, 1, 2, … */

int volume_run(struct job *job, json_t **ret_done, struct failure *f);

/* Puts a file, or a directory with all that is in it, under `place` of the tree. fd is borrowed; path is the host's,
 * for who reads a failure. Everything belongs to root, and everybody in the guest may read it. */
int volume_walk(struct merge *m, int fd, const char *path, const char *place, struct failure *f);
