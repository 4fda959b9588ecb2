/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd-link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/fd.h"

static int address_of(const char *path, struct sockaddr_un *ret) {
        *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof ret->sun_path)
                return -ENAMETOOLONG;
        strcpy(ret->sun_path, path);
        return 0;
}

int link_connect(const char *path) {
        _cleanup_close_ int fd = -1;
        struct sockaddr_un sa;
        int r;

        r = address_of(path ? path : NETD_SOCKET_PATH, &sa);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *) &sa, sizeof sa) < 0)
                return -errno;
        return take_fd(&fd);
}

int link_receive(int sock, int milliseconds, struct netd_reply *ret, int *fds, size_t *ret_n_fds) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int) * NETD_QUEUES_MAX)];
        } control;
        struct iovec iov = {.iov_base = ret, .iov_len = sizeof *ret};
        struct msghdr mh = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        struct pollfd p = {.fd = sock, .events = POLLIN};
        ssize_t n;

        if (milliseconds >= 0 && poll(&p, 1, milliseconds) == 0)
                return -EAGAIN;
        n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        if (n == 0)
                return -ECONNRESET;
        if (n != sizeof *ret)
                return -EBADMSG;
        *ret_n_fds = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
                        *ret_n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                        memcpy(fds, CMSG_DATA(c), *ret_n_fds * sizeof(int));
                }
        return *ret_n_fds == ret->n_fds ? 0 : -EBADMSG;
}

int link_call(int sock, struct netd_request *request, struct netd_reply *ret, int *fds, LinkEvent event) {
        static uint64_t cookie;
        size_t n_fds;
        int r;

        request->version = NETD_WIRE_VERSION;
        request->cookie = ++cookie;
        if (send(sock, request, sizeof *request, MSG_NOSIGNAL) < 0)
                return errno == EPIPE ? -ECONNRESET : -errno;
        for (;;) {
                r = link_receive(sock, -1, ret, fds, &n_fds);
                if (r < 0)
                        return r;
                if (ret->verb < NETD_EVENT_BRIDGE)
                        return ret->cookie == request->cookie ? 0 : -EBADMSG;
                if (event)
                        event(ret);
        }
}

static void execute_netd(const char *program, const char *config, int listener) {
        char pid[16];

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void) snprintf(pid, sizeof pid, "%d", (int) getpid());
        (void) setenv("LISTEN_PID", pid, 1);
        (void) setenv("LISTEN_FDS", "1", 1);
        /* dup2() of a descriptor to itself keeps close-on-exec. */
        if (dup2(listener, 3) == 3 && fcntl(3, F_SETFD, 0) == 0)
                (void) execl(program, program, "--config", config, "--user", "root", NULL);
        _exit(127);
}

pid_t link_start_netd(const char *program, const char *config, const char *path) {
        _cleanup_close_ int listener = -1;
        struct sockaddr_un sa;
        pid_t pid;
        int r;

        r = address_of(path, &sa);
        if (r < 0)
                return r;
        (void) unlink(path);
        listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (listener < 0 || bind(listener, (struct sockaddr *) &sa, sizeof sa) < 0 || listen(listener, 16) < 0)
                return -errno;
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                execute_netd(program, config, listener);
        return pid;
}
