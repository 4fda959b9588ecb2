/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/archive-util.h"
#include "worker/blob-stream.h"

/*
 * The tar inside a layer's blob: blob -> decompression -> tar reader, with a digest on either side.
 *
 * Behind the end come as many zeros as a tar should end with, because tools exist that leave them away; what is
 * invented that way is told apart by layer_stream_invented().
 */

struct layer_stream {
        struct blob_stream blob;
        archive_reader *unpacker, *tar;
        struct digest digest; /* of the tar; context NULL when not asked for */
        uint64_t size, max;   /* bytes of the tar so far, and at most */
        uint64_t padding;     /* zeros still to give */
        bool begun, ended, too_large;
};

/* hash: whether layer_stream_verify_tar() will be asked. s->tar is then ready for archive_read_next_header(). */
int layer_stream_open(struct layer_stream *s,
        const struct source *source,
        struct extent extent,
        uint64_t *count,
        uint64_t max,
        bool hash,
        struct failure *f);
void layer_stream_clear(struct layer_stream *s);

/* What libarchive says, whichever of the two readers said it. */
const char *layer_stream_error(struct layer_stream *s);

/* Where the reader is in the tar, and whether that many bytes from a place on are more than the tar held. */
uint64_t layer_stream_position(struct layer_stream *s);
bool layer_stream_invented(struct layer_stream *s, uint64_t position, uint64_t len);

/* Read on to the end and compare: DigestMismatch. The second one only after the tar was read without an error. */
int layer_stream_verify_blob(struct layer_stream *s, const char *digest, struct failure *f);
int layer_stream_verify_tar(struct layer_stream *s, const char *diff_id, struct failure *f);
