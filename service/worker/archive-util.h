/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <archive.h>
#include <glib.h>

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
