/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A cpio archive in the "newc" form the kernel unpacks as its first root, written to a descriptor in order. All root's,
 * no time: the same input gives the same bytes. 0 or a negative errno. */

struct cpio {
        int fd; /* borrowed */
        uint64_t size;
        uint32_t inode;
};

void cpio_init(struct cpio *c, int fd);
int cpio_directory(struct cpio *c, const char *path, mode_t mode);
int cpio_file(struct cpio *c, const char *path, mode_t mode, const void *data, size_t len);
int cpio_character_device(struct cpio *c, const char *path, mode_t mode, unsigned major, unsigned minor);
int cpio_finish(struct cpio *c);
