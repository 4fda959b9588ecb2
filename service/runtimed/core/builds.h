/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/job.h"

/*
 * The line in front of the image workers. Of one user's builds so many run at once (BuildsPerUser=), and so many of
 * everybody's (BuildsMax=); the others are `queued` jobs. A place that becomes free goes to who has the fewest running,
 * of those to who was served longest ago, and of his to the oldest.
 */

/* QuotaExceeded where as many of the owner's wait as may (QueuedBuildsPerUser=). */
int builds_check(Runtime *rt, uint32_t owner, Problem **ret_problem);

/* Whether a job that could run now has what it needs; NULL: always. */
typedef bool (*BuildReady)(const Job *job, void *userdata);
/* Begins the work of the job. */
typedef void (*BuildStart)(Job *job, void *userdata);
/* The daemon ends and the job has not begun: userdata is freed. NULL: somebody else does. */
typedef void (*BuildDrop)(void *userdata);

/* The job joins the line: start is called now or when it is its turn, unless the job ends before. It leaves by its end. */
void builds_join(Job *j, BuildReady ready, BuildStart start, BuildDrop drop, void *userdata);

/* For job.c: the job has ended. */
void builds_leave(Job *j);

int builds_new(Runtime *rt, Builds **ret);
void builds_free(Builds *b);
