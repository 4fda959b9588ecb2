/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "worker/source.h"

/* Where the files of an uncompressed tar lie, so that they can be read in any order. */

struct extent {
        uint64_t offset, size;
};

struct archive_index;

/* -EBADMSG UnsupportedImage for what is no tar or is cut off, -E2BIG LimitExceeded. */
int archive_index_new(
        const struct source *s, const struct limits *limits, struct archive_index **ret, struct failure *f);
struct archive_index *archive_index_free(struct archive_index *x);

/* Finds a file; links inside the archive are followed. */
bool archive_index_find(const struct archive_index *x, const char *name, struct extent *ret);

/* Reads a whole file of at most max bytes; NUL behind it. -ENOENT and -E2BIG are told with its name. */
int archive_index_read(
        const struct archive_index *x, const char *name, uint64_t max, char **ret, size_t *ret_len, struct failure *f);
