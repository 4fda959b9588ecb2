/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/atomic-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/crash-point.h"
#include "shared/fd.h"

static int replace(int dir_fd, const char *name, const void *data, size_t len, mode_t mode, bool durable) {
        _cleanup_close_ int fd = -1;
        char tmp[64];
        uint64_t random;
        int r;

        if (getrandom(&random, sizeof random, 0) != sizeof random)
                return -EIO;
        (void) snprintf(tmp, sizeof tmp, ATOMIC_TMP_PREFIX "%016" PRIx64, random);

        fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd < 0)
                return -errno;

        r = write_all(fd, data, len);
        if (r >= 0 && (fchmod(fd, mode) < 0 || (durable && fsync(fd) < 0)))
                r = -errno;
        if (durable)
                CRASH_POINT(RECORD_WRITTEN);
        if (r >= 0 && renameat(dir_fd, tmp, dir_fd, name) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(dir_fd, tmp, 0);
                return r;
        }
        if (durable)
                CRASH_POINT(RECORD_RENAMED);
        return durable && fsync(dir_fd) < 0 ? -errno : 0;
}

int atomic_write(int dir_fd, const char *name, const void *data, size_t len, mode_t mode) {
        return replace(dir_fd, name, data, len, mode, true);
}

int atomic_replace(int dir_fd, const char *name, const void *data, size_t len, mode_t mode) {
        return replace(dir_fd, name, data, len, mode, false);
}
