/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "worker/failure.h"

/* Writes an OCI archive: a tar with oci-layout, index.json and blobs/sha256/HEX. The same content gives the same bytes.
 */

struct layout_writer;

/* fd: an empty file, borrowed. The index names one manifest (or index) of that media type, digest and size. */
int layout_writer_new(int fd, const char *media_type, const char *digest, uint64_t size, struct layout_writer **ret,
        struct failure *f);

/* A blob from memory, or size bytes of a descriptor from offset on. One whose content has another digest than said is
 * DigestMismatch; one that was added already is left out. */
int layout_writer_add(struct layout_writer *w, const char *digest, const void *data, size_t len, struct failure *f);
int layout_writer_copy(
        struct layout_writer *w, const char *digest, int fd, uint64_t offset, uint64_t size, struct failure *f);

/* The same in pieces: exactly size bytes between begin and end. A blob that is there already is not begun (returns 0,
 * else 1). */
int layout_writer_begin(struct layout_writer *w, const char *digest, uint64_t size, struct failure *f);
int layout_writer_append(struct layout_writer *w, const void *data, size_t len, struct failure *f);
int layout_writer_end(struct layout_writer *w, struct failure *f);

/* Ends the archive and tells its size. */
int layout_writer_finish(struct layout_writer *w, uint64_t *ret_size, struct failure *f);
void layout_writer_free(struct layout_writer *w);
