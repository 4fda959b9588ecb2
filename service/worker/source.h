/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "worker/failure.h"
#include "worker/image-limits.h"
#include "worker/job.h"

/* The bytes an import starts from: a descriptor that can be read at any place. What cannot (a pipe, a compressed
 * archive) goes into a file without a name first, within limits.bytes. */

struct source {
        int fd; /* owned */
        uint64_t size;
};

/* From the job's descriptor "source", or its "path" beneath one of its "roots". */
int source_open(struct job *job, const struct limits *limits, struct source *ret, struct failure *f);
/* The same for what is read once, from its beginning: a pipe stays one. Returns a descriptor, the caller's. */
int source_open_stream(struct job *job, struct failure *f);
/* From a descriptor of the job, borrowed: a file, a pipe or a socket. */
int source_open_fd(struct job *job, int fd, const struct limits *limits, struct source *ret, struct failure *f);
/* Opens a path beneath one of the roots (an array of strings), through no symbolic link. Returns the descriptor. */
int source_open_path(const json_t *roots, const char *path, int flags, struct failure *f);
void source_clear(struct source *s);

/* Reads exactly len bytes; -ENODATA when the source is shorter (it shrank). */
int source_read(const struct source *s, uint64_t offset, void *buf, size_t len);

/* Replaces a source compressed with gzip, zstd, xz or bzip2 by what it holds. Returns 1 when it did, 0 when it is not
 * compressed. */
int source_decompress(struct job *job, struct source *s, const struct limits *limits, struct failure *f);

/* An unlinked file for scratch data; the private /var/tmp or /tmp of the unit, else memory. */
int source_scratch_file(void);
