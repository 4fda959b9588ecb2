/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int close_fd(int fd) {
        if (fd >= 0) {
                int saved = errno;

                (void) close(fd);
                errno = saved;
        }
        return -1;
}

void closep(int *fd) {
        *fd = close_fd(*fd);
}

int write_all(int fd, const void *buf, size_t len) {
        const char *p = buf;

        while (len > 0) {
                ssize_t n = write(fd, p, len);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        return -EIO;
                p += n;
                len -= (size_t) n;
        }
        return 0;
}

int read_file(int fd, size_t max, char **ret, size_t *ret_len) {
        struct stat st;
        size_t size, done = 0;
        char *buf;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size > 0 && (uint64_t) st.st_size > max)
                return -EFBIG;

        /* One byte beyond max shows a file that is longer than it said, or that says nothing (sysfs). */
        size = st.st_size > 0 ? (size_t) st.st_size + 1 : max + 1;
        buf = malloc(size + 1);
        if (!buf)
                return -ENOMEM;

        while (done < size) {
                ssize_t n = pread(fd, buf + done, size - done, (off_t) done);

                if (n < 0) {
                        int r = -errno;

                        if (r == -EINTR)
                                continue;
                        free(buf);
                        return r;
                }
                done += (size_t) n;
                if (n == 0 || (st.st_size > 0 && done == (size_t) st.st_size)) /* that read had room for more */
                        break;
        }
        if (done > max || (st.st_size > 0 && done == size)) {
                free(buf);
                return -EFBIG;
        }

        buf[done] = 0;
        *ret = buf;
        if (ret_len)
                *ret_len = done;
        return 0;
}

int memfd_seal(int fd) {
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -errno;
        return 0;
}

int memfd_sealed(const char *name, const void *data, size_t len) {
        _cleanup_close_ int fd = -1;
        int r;

        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        r = write_all(fd, data, len);
        if (r >= 0)
                r = memfd_seal(fd);
        return r < 0 ? r : take_fd(&fd);
}

static uint64_t now(clockid_t clock) {
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
}

bool fd_is_stream(int fd) {
        socklen_t len = sizeof(int);
        int type;

        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

uint64_t now_realtime(void) {
        return now(CLOCK_REALTIME);
}

uint64_t now_monotonic(void) {
        return now(CLOCK_MONOTONIC);
}
