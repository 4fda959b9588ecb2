/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Small helpers around descriptors, for every program. All return 0 or a negative errno unless said otherwise. */

/* Closes *fd when it is not negative; for __attribute__((cleanup)). errno is kept. */
void closep(int *fd);
#define _cleanup_close_ __attribute__((cleanup(closep)))

/* Closes fd when it is not negative and returns -1 (EBADF as a value). */
int close_fd(int fd);

/* Moves a descriptor out of a variable, which becomes -1. */
static inline int take_fd(int *fd) {
        int r = *fd;
        *fd = -1;
        return r;
}

/* Writes all of buf; -EIO when the file takes nothing. Retries EINTR, not EAGAIN. */
int write_all(int fd, const void *buf, size_t len);

/* Reads a whole file of at most max bytes from its start (pread). The caller frees *ret; one NUL follows the
 * data. -EFBIG when it is longer. */
int read_file(int fd, size_t max, char **ret, size_t *ret_len);

/* A memfd that holds data and is sealed against every change, close-on-exec. Returns the descriptor. */
int memfd_sealed(const char *name, const void *data, size_t len);

/* Rewinds a memfd and seals it against every change. */
int memfd_seal(int fd);

/* Whether fd is a stream socket. */
bool fd_is_stream(int fd);

/* Microseconds since the epoch (CLOCK_REALTIME) and since boot (CLOCK_MONOTONIC). */
uint64_t now_realtime(void);
uint64_t now_monotonic(void);
