/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loaded before libc into the daemon under test: lets chosen calls fail, see faults.h. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"

#define EXPORT __attribute__((visibility("default")))
#define NEXT(name) (((__typeof__(&name)) dlsym(RTLD_NEXT, #name)))

static struct faults *faults;

__attribute__((constructor)) static void load(void) {
        const char *path = getenv(FAULTS_ENVIRONMENT);
        int fd = path ? NEXT(open)(path, O_RDWR | O_CLOEXEC) : -1;
        void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (fd >= 0)
                (void) close(fd);
        if (p != MAP_FAILED)
                faults = p;
}

static bool fails(enum fault_call call) {
        bool hit;

        if (faults->fired && faults->forever)
                hit = call == (enum fault_call) faults->call || call == FAULT_CREATE || call == FAULT_WRITE || call == FAULT_FSYNC;
        else
                hit = call == (enum fault_call) faults->call && faults->countdown > 0 && --faults->countdown == 0;
        if (hit) {
                faults->fired = 1;
                errno = faults->error;
        }
        return hit;
}

static bool is_ours(const char *path) {
        return strncmp(path, faults->prefix, strlen(faults->prefix)) == 0;
}

static bool fd_is_ours(int fd) {
        char link[64], path[PATH_MAX];
        ssize_t n;

        (void) snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof path - 1);
        if (n <= 0)
                return false;
        path[n] = 0;
        return is_ours(path);
}

static bool at_is_ours(int dir, const char *name) {
        return *name == '/' ? is_ours(name) : dir >= 0 && fd_is_ours(dir);
}

/* Whether the call is to fail; cheap where nothing is armed. */
static bool is_hit(enum fault_call call, bool ours) {
        return ours && fails(call);
}

#define ARMED (faults && faults->call != FAULT_NONE)

static bool open_fails(int dir, const char *name, int flags) {
        return ARMED && is_hit(flags & O_CREAT ? FAULT_CREATE : FAULT_OPEN, at_is_ours(dir, name));
}

EXPORT int openat(int dir, const char *name, int flags, ...) {
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
        va_end(ap);
        return open_fails(dir, name, flags) ? -1 : NEXT(openat)(dir, name, flags, mode);
}

EXPORT int open(const char *name, int flags, ...) {
        va_list ap;
        mode_t mode;

        va_start(ap, flags);
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
        va_end(ap);
        return open_fails(-1, name, flags) ? -1 : NEXT(open)(name, flags, mode);
}

EXPORT int mkdirat(int dir, const char *name, mode_t mode) {
        return ARMED && is_hit(FAULT_CREATE, at_is_ours(dir, name)) ? -1 : NEXT(mkdirat)(dir, name, mode);
}

EXPORT ssize_t write(int fd, const void *data, size_t len) {
        return ARMED && is_hit(FAULT_WRITE, fd_is_ours(fd)) ? -1 : NEXT(write)(fd, data, len);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) {
        return ARMED && is_hit(FAULT_WRITE, fd_is_ours(fd)) ? -1 : NEXT(pwrite)(fd, data, len, offset);
}

EXPORT int fsync(int fd) {
        return ARMED && is_hit(FAULT_FSYNC, fd_is_ours(fd)) ? -1 : NEXT(fsync)(fd);
}

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to) {
        return ARMED && is_hit(FAULT_RENAME, at_is_ours(to_dir, to)) ? -1 : NEXT(renameat)(from_dir, from, to_dir, to);
}

EXPORT int unlinkat(int dir, const char *name, int flags) {
        return ARMED && is_hit(FAULT_UNLINK, at_is_ours(dir, name)) ? -1 : NEXT(unlinkat)(dir, name, flags);
}

EXPORT int memfd_create(const char *name, unsigned flags) {
        return ARMED && is_hit(FAULT_DESCRIPTOR, true) ? -1 : NEXT(memfd_create)(name, flags);
}

EXPORT int socketpair(int domain, int type, int protocol, int fds[2]) {
        return ARMED && is_hit(FAULT_DESCRIPTOR, true) ? -1 : NEXT(socketpair)(domain, type, protocol, fds);
}

EXPORT int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags) {
        return ARMED && is_hit(FAULT_DESCRIPTOR, true) ? -1 : NEXT(accept4)(fd, address, len, flags);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *ts) {
        int r = NEXT(clock_gettime)(clock, ts);

        if (r == 0 && faults && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                ts->tv_sec += faults->realtime_offset;
        return r;
}
