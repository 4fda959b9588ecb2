/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sqfs/io.h>

/* libsquashfs's file interface on a descriptor we were given. */

struct image_file {
        sqfs_file_t base; /* first: libsquashfs knows this part only */
        int fd;           /* borrowed */
        sqfs_u64 size;
        int error; /* first negative errno of the descriptor, which libsquashfs would flatten */
};

void image_file_init(struct image_file *f, int fd);
