/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "worker/elf-check.h"
#include "worker/failure.h"

/* Reads files out of a root image (SquashFS) without mounting it. Paths are looked up as a process in the image would:
 * symbolic links are followed, and none leads out of it. */

struct root_reader;

/* A regular file of the image; elf is a view of its content, valid as long as the file. */
struct root_file {
        struct root_reader *reader;
        void *inode;
        uint64_t size;
        struct elf_source elf;
};

/* fd is borrowed. */
int root_reader_new(int fd, struct root_reader **ret, struct failure *f);
struct root_reader *root_reader_free(struct root_reader *r);

/* PATH is absolute. -ENOENT, -ENOTDIR, -ELOOP; -EINVAL where it is there and no regular file; -EIO. */
int root_reader_open(struct root_reader *r, const char *path, struct root_file **ret);
struct root_file *root_file_free(struct root_file *file);

/* Calls visit for all that lies at `place` and below it: directories (file NULL) before what is in them, regular files.
 * rel is the path from there, "" for the place itself. A symbolic link to a regular file of the image counts as that;
 * other links and special files are counted in *ret_left. Ends with the first negative answer. -ELOOP below
 * ROOT_DEPTH_MAX directories. */
#define ROOT_DEPTH_MAX 128U
typedef int (*root_visit)(const char *rel, struct root_file *file, void *userdata);
int root_reader_visit(struct root_reader *r, const char *place, root_visit visit, void *userdata, unsigned *ret_left);

/* Exactly len bytes; negative errno. */
int root_file_read(struct root_file *file, uint64_t offset, void *buf, size_t len);
/* The whole file into a descriptor. */
int root_file_copy(struct root_file *file, int fd);
