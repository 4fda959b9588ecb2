/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the first content of a VM's UEFI variables. */
#include "monitor/uefi-vars.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 65536U
#define VARS_MAX (64 << 20) /* aarch64's have as much, most of it a hole */

static int write_at(int fd, const void *data, size_t len, off_t at) {
        ssize_t n = pwrite(fd, data, len, at);

        return n < 0 ? -errno : (size_t) n == len ? 0 : -ENOSPC;
}

/* Blocks of zeros become holes. */
static int copy_blocks(int vars, int template, off_t size) {
        static const char zeros[BLOCK];
        char block[BLOCK];

        for (off_t at = 0; at < size;) {
                size_t want = size - at < (off_t) BLOCK ? (size_t) (size - at) : BLOCK;
                ssize_t n = pread(template, block, want, at);
                int r = 0;

                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                if (memcmp(block, zeros, (size_t) n) != 0)
                        r = write_at(vars, block, (size_t) n, at);
                if (r < 0)
                        return r;
                at += n;
        }
        return 0;
}

int uefi_vars_make(int vars, int template) {
        struct stat have, want;
        ssize_t n;
        char last;
        int r;

        if (fstat(vars, &have) < 0 || fstat(template, &want) < 0)
                return -errno;
        if (!S_ISREG(want.st_mode) || want.st_size == 0 || want.st_size > VARS_MAX)
                return -EINVAL;
        if (have.st_size == want.st_size)
                return 0;
        if (ftruncate(vars, 0) < 0)
                return -errno;
        r = copy_blocks(vars, template, want.st_size - 1);
        if (r < 0)
                return r;
        if (fsync(vars) < 0)
                return -errno;
        n = pread(template, &last, 1, want.st_size - 1);
        if (n != 1)
                return n < 0 ? -errno : -EIO; /* as in copy_blocks() */
        /* The last byte says that all the others are there. */
        r = write_at(vars, &last, 1, want.st_size - 1);
        if (r >= 0 && fsync(vars) < 0)
                r = -errno;
        return r;
}
