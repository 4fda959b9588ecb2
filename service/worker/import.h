/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "worker/archive-index.h"
#include "worker/image-limits.h"
#include "worker/job.h"

/* Imports: whatever comes becomes one SquashFS. Each fills *ret_done, the message without its type. */

struct import {
        struct job *job;
        struct limits limits;
        struct source source;
        const char *architecture; /* borrowed from the launch message */
        int output;               /* borrowed */
        int archive;              /* likewise: an empty file for the image as an OCI archive; -1: none */
};

int import_run(struct job *job, json_t **ret_done, struct failure *f);

int import_elf(struct import *im, json_t **ret_done, struct failure *f);
int import_oci(struct import *im, const struct archive_index *x, json_t **ret_done, struct failure *f);
int import_docker(struct import *im, const struct archive_index *x, json_t **ret_done, struct failure *f);

/* What both kinds of archive end with. layers: struct layer, top first. */
int import_layers(struct import *im, const GArray *layers, uint64_t *ret_size, struct failure *f);
/* The architecture in the config must be the one that was asked for. */
int import_check_platform(struct import *im, const char *os, const char *architecture, struct failure *f);
