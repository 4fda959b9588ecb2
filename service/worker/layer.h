/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/archive-index.h"
#include "worker/image-limits.h"
#include "worker/image-writer.h"
#include "worker/job.h"
#include "worker/tree.h"

/* Layers of an image, read from the top down: names into the tree, data straight into the image. */

struct layer {
        struct extent extent; /* of the blob in the source */
        char *digest;         /* of the blob, checked while it is read; NULL: none is known */
        char *diff_id;        /* of the tar inside, where that is what is known */
};

struct merge {
        struct job *job;
        const struct source *source;
        const struct limits *limits;
        const char
                *below; /* NULL: the tars are an image's layers; else the directory that a plain tar is unpacked to */
        struct tree *tree;
        struct image_writer *writer;
        uint64_t bytes, entries, xattr_bytes, unpacked; /* used of the limits */
        uint64_t blob_bytes, blob_total;                /* for the progress */
        uint64_t dropped_xattrs;
};

/* Reads one layer; number 0 is the top. */
int layer_merge(struct merge *m, const struct layer *layer, unsigned number, struct failure *f);

/* The verdict of the tree's verbs in words; 0 and 1 as they are. */
int merge_tree_failed(struct merge *m, int r, const char *path, struct failure *f);
/* tree_settle(), told. */
int merge_settle(struct merge *m, struct failure *f);
