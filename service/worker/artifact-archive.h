/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/archive-index.h"
#include "worker/artifact.h"
#include "worker/job.h"

/* Artifacts in OCI archives: what a registry sent, and what one shall get. */

struct archive;

/* One that came. */
struct artifact_archive {
        struct source source;
        struct archive_index *index;
        struct artifact artifact;
        char *config; /* text; NULL where it is empty */
        size_t config_len;
        struct extent layer; /* has the size that the manifest says; its digest is the reader's to verify */
};

/* The job's source, and in it the manifest of that digest, which is followed to configuration and layer. ret is to be
 * cleared whatever the result. */
int artifact_archive_open(struct job *job, const struct artifact_kind *kind, const struct limits *limits,
        struct artifact_archive *ret, struct failure *f);
void artifact_archive_clear(struct artifact_archive *a);

/* How a layer is made: format says what libarchive writes, fill writes it. Both are called twice, for a blob's digest
 * comes before its bytes; the bytes must be the same. */
struct artifact_layer {
        int (*format)(struct archive *a); /* an ARCHIVE_ code */
        int (*fill)(struct archive *a, void *userdata, struct failure *f);
        void *userdata;
};

/* An artifact into the empty file fd; *ret is the digest of its manifest. title and version are for people. */
int artifact_archive_write(int fd, const struct artifact_kind *kind, const char *config, size_t config_len,
        const char *title, const char *version, const struct artifact_layer *layer, char ret[DIGEST_TEXT_SIZE],
        struct failure *f);

/* What fill() returns where libarchive did not take what it wrote. */
int artifact_layer_failed(struct archive *a, struct failure *f);
