/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/job.h"

/* Lines of one run that go into its job's log; more are counted. */
#define WORK_LOG_MAX 200U

/* One run of mcp-image@: an operation with its descriptors, its progress into a job, its end once the unit is inactive,
 * so that nothing can write to the files any more. */
typedef struct Work Work;

/* result is the worker's "done" message (borrowed), or NULL with a problem (borrowed). Frees nothing; the Work is gone
 * after the call. */
typedef void (*WorkDone)(json_t *result, const Problem *problem, void *userdata);

/* message ({"op":...}) and fds are taken, whatever the result. job may be NULL; progress runs from `from` to `to` in
 * it. */
int work_start(Runtime *rt, Job *job, double from, double to, json_t *message, int *fds, const char *const *names,
        size_t n, WorkDone done, void *userdata, Work **ret);

/* The same as an instance with a name of its own, for what no job waits for. -EBUSY while it runs. */
int work_start_as(Runtime *rt, const char *instance, json_t *message, int *fds, const char *const *names, size_t n,
        WorkDone done, void *userdata, Work **ret);

/* Hears what is neither progress, log nor end, and progress where there is no job (borrowed; "type" is a string). May cancel the work. */
typedef void (*WorkMessage)(json_t *message, void *userdata);
void work_on_message(Work *w, WorkMessage message);

/* The directories below which a worker may open paths, for "roots" of its message. */
json_t *work_roots(const Runtime *rt);

/* Answers what the worker asked; message's reference and the descriptors are taken, whatever the result. */
int work_answer(Work *w, json_t *message, int *fds, size_t n);

/* Ends the unit and forgets it; done is not called. NULL is fine; returns NULL. */
Work *work_cancel(Work *w);
