/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What a file was when its content was hashed. A file whose stamp is another one is hashed again before it is used. */
typedef struct Stamp {
        uint64_t device, inode, size;
        int64_t mtime, ctime; /* nanoseconds since the epoch */
} Stamp;

/* Of an open file; a negative errno, also for what is no regular file. */
int stamp_of(int fd, Stamp *ret);

/* A stamp of no file (all zero, as of a record without one) equals none. */
bool stamp_is_of(const Stamp *stamp, int fd);

json_t *stamp_to_json(const Stamp *stamp);
/* NULL and what is no stamp give the stamp of no file. */
Stamp stamp_from_json(json_t *object);
