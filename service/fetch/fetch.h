/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/image-limits.h"
#include "worker/job.h"

/* mcp-fetch: one image or artifact, from a registry into an OCI archive or the other way, by skopeo. */

#define FETCH_MANIFEST_MAX LIMIT_MANIFEST_DEFAULT
#define FETCH_LAYERS_MAX LIMIT_LAYERS_MAX

/* A directory for what is on its way, removed with all that is in it. */
char *fetch_directory_new(struct failure *f);
void fetch_directory_remove(const char *path);

/* Bytes of the plain files in a directory. */
uint64_t fetch_directory_bytes(const char *path);

int pull_run(struct job *job, json_t **ret_done, struct failure *f);
int push_run(struct job *job, json_t **ret_done, struct failure *f);
