/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/archive-index.h"
#include "worker/digest.h"

/* A part of the source as a stream for libarchive, hashed as it goes by: what was parsed is what was verified, even
 * when the file changes meanwhile. */

struct archive;

struct blob_stream {
        const struct source *source;
        struct extent left;
        struct digest digest;
        uint64_t *count; /* bytes read, for the progress; may be NULL */
        char *buf;
        int error; /* of the source */
};

int blob_stream_init(struct blob_stream *s, const struct source *source, struct extent extent, uint64_t *count);
void blob_stream_clear(struct blob_stream *s);

/* Opens the archive on the stream; an ARCHIVE_ code. */
int blob_stream_open(struct blob_stream *s, struct archive *a);

/* Reads what the archive left, and compares: DigestMismatch. */
int blob_stream_verify(struct blob_stream *s, const char *digest, struct failure *f);
