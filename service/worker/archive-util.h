/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <archive.h>
#include <glib.h>

#include "worker/failure.h"

/* Readers of libarchive with exactly the formats and filters we take. No filter that would run a program. */

typedef struct archive archive_reader;

static inline void archive_reader_free(archive_reader *a) {
        (void) archive_read_free(a);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(archive_reader, archive_reader_free)

/* A tar, plain. */
archive_reader *archive_util_tar(void);
/* A tar, plain or compressed with gzip, zstd, xz or bzip2. */
archive_reader *archive_util_tar_packed(void);
/* A blob that is plain or compressed with gzip or zstd. */
archive_reader *archive_util_layer(void);
/* One compressed file: gzip, zstd, xz, bzip2, or plain. */
archive_reader *archive_util_raw(void);

/* A file that an archive is read from. Beneath a filter libarchive takes a read that failed for an archive that is cut off, and what is
 * told of a damaged image shall be true. */
struct archive_input {
        int fd;
        int error; /* of the first read that failed; 0: none has */
        char *buf;
};

/* Begins to read input->fd, which is borrowed as input is, where it stands. As archive_read_open_fd(). */
int archive_input_open(struct archive_input *input, archive_reader *a);

/* What came of it, which was r: if a read has failed, that is the reason, and f has it instead of what it had. Ends input. */
int archive_input_end(struct archive_input *input, int r, const char *what, struct failure *f);
/* The same of an error that is noted elsewhere. */
int archive_read_end(int error, int r, const char *what, struct failure *f);
