/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "worker/failure.h"
#include "worker/tree.h"

/*
 * Writes one SquashFS image into a descriptor: file data first, as it streams by, then the tree.
 *
 * The same input gives the same bytes: no time of day, names sorted, inode numbers by place. All functions return 0 or
 * a negative errno and tell the failure.
 */

struct image_writer;

/* fd is borrowed: an empty file, O_RDWR. */
int image_writer_new(int fd, struct image_writer **ret, struct failure *f);
/* Before tree_free() of a tree whose inodes it was given. NULL is fine. */
struct image_writer *image_writer_free(struct image_writer *w);

/* Data of a regular file, whose inode must stay where it is until image_writer_finish(). */
int image_writer_begin(struct image_writer *w, struct tree_inode *inode, struct failure *f);
int image_writer_append(struct image_writer *w, const void *data, size_t len, struct failure *f);
int image_writer_append_zeros(struct image_writer *w, uint64_t len, struct failure *f);
int image_writer_end(struct image_writer *w, struct failure *f);

/* One set of extended attributes: begin, any number of adds, end with the index for the inode. */
int image_writer_xattr_begin(struct image_writer *w, struct failure *f);
int image_writer_xattr_add(struct image_writer *w, const char *name, const void *value, size_t size, struct failure *f);
int image_writer_xattr_end(struct image_writer *w, uint32_t *ret_index, struct failure *f);

/* A device number as SquashFS stores it. */
uint32_t image_device(unsigned major, unsigned minor);

/* Writes inodes, directories and tables of a settled tree. *ret_size: bytes of the whole image, padding included. */
int image_writer_finish(struct image_writer *w, struct tree *t, uint64_t *ret_size, struct failure *f);
