/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Makes NAME in dir_fd hold exactly data: a temporary file, write, fsync, rename, fsync of the directory. The old
 * content stays whole until the rename. The temporary name begins with ATOMIC_TMP_PREFIX; a reader of the directory
 * skips and may delete such files. */
#define ATOMIC_TMP_PREFIX ".tmp-"
int atomic_write(int dir_fd, const char *name, const void *data, size_t len, mode_t mode);

/* The same without fsync: whole for whoever reads it, and perhaps lost when the host crashes. */
int atomic_replace(int dir_fd, const char *name, const void *data, size_t len, mode_t mode);
