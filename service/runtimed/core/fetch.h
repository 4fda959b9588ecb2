/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/job.h"

/* One run of mcp-fetch@: a registry on one side, an archive on the other. Its end is told once the unit is inactive, so
 * that nothing can write to the archive any more. */
typedef struct Fetch Fetch;

typedef struct FetchOps {
        /* What a reference means in the registry; fetch_go() lets the blobs come. Checked to be digests. artifact is
         * NULL for an image. May cancel the fetch. NULL for a push, where nothing is to be resolved. */
        void (*resolved)(Fetch *f, const char *digest, const char *manifest, uint64_t size, const char *artifact,
                void *userdata);
        /* result is the helper's "done" message, or NULL with a problem (all borrowed); the Fetch is gone after it. */
        void (*done)(json_t *result, const Problem *problem, void *userdata);
} FetchOps;

/* message ({"op":...}) and fds are taken, whatever the result; progress runs from `from` to `to` in job. */
int fetch_start(Runtime *rt, Job *job, double from, double to, json_t *message, int *fds, const char *const *names,
        size_t n, const FetchOps *ops, void *userdata, Fetch **ret);

/* At most that many bytes. */
int fetch_go(Fetch *f, uint64_t bytes);

/* Ends the unit and forgets it; nothing more is called. NULL is fine; returns NULL. */
Fetch *fetch_cancel(Fetch *f);
