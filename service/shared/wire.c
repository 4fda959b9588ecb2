/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"

union control {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * LAUNCH_FDS_MAX)];
};

int wire_send(int sock, json_t *message, const int *fds, size_t n_fds) {
        union control control = {};
        struct iovec iov;
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n;
        char *text;
        int r = 0;

        if (n_fds > LAUNCH_FDS_MAX)
                return -E2BIG;
        text = json_dumps(message, JSON_COMPACT);
        if (!text)
                return -ENOMEM;
        iov = (struct iovec){.iov_base = text, .iov_len = strlen(text)};
        if (iov.iov_len > LAUNCH_MESSAGE_MAX) {
                free(text);
                return -EMSGSIZE;
        }
        if (n_fds > 0) {
                struct cmsghdr *c = &control.header;

                mh.msg_control = control.bytes;
                mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
        }

        do
                n = sendmsg(sock, &mh, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                r = -errno;
        free(text);
        return r;
}

int wire_send_new(int sock, json_t *message) {
        int r;

        if (!message)
                return -ENOMEM;
        r = wire_send(sock, message, NULL, 0);
        json_decref(message);
        return r;
}

/* Collects the descriptors of a received message; all are closed when there are more than we take, or when not all of them found a
 * place in this process: a message without any is then a message still, and its sender gets an answer. */
static int collect_fds(struct msghdr *mh, int *fds, size_t *ret_n) {
        size_t n = 0;
        int r = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
                size_t count;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < count; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
                        if (n < LAUNCH_FDS_MAX)
                                fds[n++] = fd;
                        else {
                                (void) close_fd(fd);
                                r = -EBADMSG;
                        }
                }
        }
        if ((mh->msg_flags & MSG_TRUNC) || ((mh->msg_flags & MSG_CTRUNC) && n == LAUNCH_FDS_MAX))
                r = -EBADMSG;
        if (r < 0 || (mh->msg_flags & MSG_CTRUNC))
                while (n > 0)
                        (void) close_fd(fds[--n]);
        *ret_n = n;
        return r;
}

int wire_recv(int sock, json_t **ret, int *fds, size_t *ret_n_fds) {
        union control control;
        struct iovec iov;
        struct msghdr mh = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        json_t *message = NULL;
        size_t n_fds;
        char *buf;
        ssize_t n;
        int r;

        buf = malloc(LAUNCH_MESSAGE_MAX);
        if (!buf)
                return -ENOMEM;
        iov = (struct iovec){.iov_base = buf, .iov_len = LAUNCH_MESSAGE_MAX};

        do
                n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n <= 0) {
                r = n < 0 ? -errno : 0;
                if (r == -ECONNRESET)
                        r = 0;
                free(buf);
                return r;
        }

        r = collect_fds(&mh, fds, &n_fds);
        if (r >= 0) {
                message = json_loadb(buf, (size_t) n, JSON_REJECT_DUPLICATES, NULL);
                if (!json_is_object(message) || !json_is_string(json_object_get(message, "type")))
                        r = -EBADMSG;
        }
        free(buf);
        if (r < 0) {
                while (n_fds > 0)
                        (void) close_fd(fds[--n_fds]);
                json_decref(message);
                return r;
        }
        *ret = message;
        *ret_n_fds = n_fds;
        return 1;
}

const char *wire_type(const json_t *message) {
        return json_string_value(json_object_get(message, "type"));
}

bool wire_fds_lost(const json_t *message, size_t n_fds) {
        return n_fds == 0 && json_array_size(json_object_get(message, "fds")) > 0;
}

int wire_open(const char *path, int socket_flags) {
        _cleanup_close_ int fd = -1;
        struct sockaddr_un sa = {.sun_family = AF_UNIX};

        if (!path)
                path = getenv("MCP_LAUNCH_SOCKET");
        if (!path)
                path = LAUNCH_SOCKET_PATH;
        if (strlen(path) >= sizeof sa.sun_path)
                return -ENAMETOOLONG;
        strcpy(sa.sun_path, path);

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | socket_flags, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *) &sa, sizeof sa) < 0)
                return -errno;
        return take_fd(&fd);
}

int wire_connect(const char *path) {
        _cleanup_close_ int fd = -1;
        int r;

        fd = wire_open(path, 0);
        if (fd < 0)
                return fd;
        r = wire_send_new(fd, json_pack("{s:s, s:i}", "type", "hello", "version", LAUNCH_WIRE_VERSION));
        return r < 0 ? r : take_fd(&fd);
}
