/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loaded before libc into a program under test: lets chosen calls fail, see faults.h. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
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
        (void) unsetenv("LD_PRELOAD"); /* what the program executes is another one */
}

/* What a disk that is full or broken does not do either. */
static bool is_of_disk(enum fault_call call) {
        return call == FAULT_CREATE || call == FAULT_WRITE || call == FAULT_FSYNC;
}

static bool fails(enum fault_call call) {
        bool hit;

        if (faults->fired && faults->forever)
                hit = call == (enum fault_call) faults->call ||
                      (is_of_disk(call) && is_of_disk((enum fault_call) faults->call));
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
        if (ARMED && faults->call == FAULT_ANY_DESCRIPTOR)
                return is_hit(FAULT_ANY_DESCRIPTOR, true);
        return ARMED && is_hit((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? FAULT_CREATE : FAULT_OPEN,
                                at_is_ours(dir, name));
}

/* Calls whose every success is a new descriptor. */
static bool descriptor_fails(enum fault_call call) {
        return ARMED && is_hit(faults->call == FAULT_ANY_DESCRIPTOR ? FAULT_ANY_DESCRIPTOR : call, true);
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

EXPORT ssize_t read(int fd, void *data, size_t len) {
        return ARMED && is_hit(FAULT_READ, fd_is_ours(fd)) ? -1 : NEXT(read)(fd, data, len);
}

EXPORT ssize_t pread(int fd, void *data, size_t len, off_t offset) {
        return ARMED && is_hit(FAULT_READ, fd_is_ours(fd)) ? -1 : NEXT(pread)(fd, data, len, offset);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int n) {
        return ARMED && is_hit(FAULT_WRITE, fd_is_ours(fd)) ? -1 : NEXT(writev)(fd, iov, n);
}

EXPORT ssize_t sendfile(int to, int from, off_t *offset, size_t len) {
        return ARMED && is_hit(FAULT_WRITE, fd_is_ours(to)) ? -1 : NEXT(sendfile)(to, from, offset, len);
}

EXPORT int ftruncate(int fd, off_t size) {
        return ARMED && is_hit(FAULT_WRITE, fd_is_ours(fd)) ? -1 : NEXT(ftruncate)(fd, size);
}

EXPORT int memfd_create(const char *name, unsigned flags) {
        return descriptor_fails(FAULT_DESCRIPTOR) ? -1 : NEXT(memfd_create)(name, flags);
}

EXPORT int socketpair(int domain, int type, int protocol, int fds[2]) {
        return descriptor_fails(FAULT_DESCRIPTOR) ? -1 : NEXT(socketpair)(domain, type, protocol, fds);
}

EXPORT int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags) {
        return descriptor_fails(FAULT_DESCRIPTOR) ? -1 : NEXT(accept4)(fd, address, len, flags);
}

EXPORT int socket(int domain, int type, int protocol) {
        return descriptor_fails(FAULT_NONE) ? -1 : NEXT(socket)(domain, type, protocol);
}

EXPORT int pipe2(int fds[2], int flags) {
        return descriptor_fails(FAULT_NONE) ? -1 : NEXT(pipe2)(fds, flags);
}

EXPORT int dup(int fd) {
        return descriptor_fails(FAULT_NONE) ? -1 : NEXT(dup)(fd);
}

EXPORT int epoll_create1(int flags) {
        return descriptor_fails(FAULT_NONE) ? -1 : NEXT(epoll_create1)(flags);
}

EXPORT int timerfd_create(int clock, int flags) {
        return descriptor_fails(FAULT_NONE) ? -1 : NEXT(timerfd_create)(clock, flags);
}

EXPORT int signalfd(int fd, const sigset_t *mask, int flags) {
        return fd < 0 && descriptor_fails(FAULT_NONE) ? -1 : NEXT(signalfd)(fd, mask, flags);
}

EXPORT int eventfd(unsigned count, int flags) {
        return descriptor_fails(FAULT_NONE) ? -1 : NEXT(eventfd)(count, flags);
}

EXPORT int pidfd_open(pid_t pid, unsigned flags) {
        return descriptor_fails(FAULT_NONE) ? -1 : NEXT(pidfd_open)(pid, flags);
}

EXPORT int fcntl(int fd, int command, ...) {
        va_list ap;
        void *argument;

        va_start(ap, command);
        argument = va_arg(ap, void *);
        va_end(ap);
        if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && descriptor_fails(FAULT_NONE))
                return -1;
        return NEXT(fcntl)(fd, command, argument);
}

EXPORT int ioctl(int fd, unsigned long request, ...) {
        va_list ap;
        void *argument;

        va_start(ap, request);
        argument = va_arg(ap, void *);
        va_end(ap);
        return request == TUNSETIFF && ARMED && is_hit(FAULT_TUNNEL, true) ? -1 : NEXT(ioctl)(fd, request, argument);
}

static bool is_rtnetlink(int fd) {
        int domain = AF_UNSPEC, protocol = -1;

        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain}) == 0 &&
               domain == AF_NETLINK &&
               getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &(socklen_t){sizeof protocol}) == 0 &&
               protocol == NETLINK_ROUTE;
}

static bool message_fails(int fd) {
        return ARMED && faults->call == FAULT_NETLINK && is_hit(FAULT_NETLINK, is_rtnetlink(fd));
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
        return message_fails(fd) ? -1 : NEXT(sendmsg)(fd, message, flags);
}

EXPORT ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to, socklen_t to_len) {
        return message_fails(fd) ? -1 : NEXT(sendto)(fd, data, len, flags, to, to_len);
}

static bool brings_descriptors(struct msghdr *message) {
        struct cmsghdr *c = message->msg_controllen > 0 ? CMSG_FIRSTHDR(message) : NULL;

        return c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS;
}

/* The kernel gives the message without the descriptors that find no place. */
static void drop_descriptors(struct msghdr *message) {
        const struct cmsghdr *c = CMSG_FIRSTHDR(message);

        for (size_t at = CMSG_LEN(0); at < c->cmsg_len; at += sizeof(int)) {
                int fd;

                memcpy(&fd, (const char *) c + at, sizeof fd);
                (void) close(fd);
        }
        message->msg_controllen = 0;
        message->msg_flags |= MSG_CTRUNC;
}

/* What ENOBUFS says of messages: the kernel had no room for them, and they are lost. */
static void lose_messages(int fd) {
        int error = errno;
        char buf[1];

        if (error == ENOBUFS)
                while (recv(fd, buf, sizeof buf, MSG_DONTWAIT) > 0)
                        ;
        errno = error;
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
        ssize_t n;

        if (message_fails(fd)) {
                lose_messages(fd);
                return -1;
        }
        n = NEXT(recvmsg)(fd, message, flags);
        if (n > 0 && brings_descriptors(message) && descriptor_fails(FAULT_NONE))
                drop_descriptors(message);
        return n;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *ts) {
        int r = NEXT(clock_gettime)(clock, ts);

        if (r == 0 && faults && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                ts->tv_sec += faults->realtime_offset;
        return r;
}
