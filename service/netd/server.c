/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/log.h"

#define PEERS_MAX 8U
#define PAUSE_USEC 200000ULL

struct peer {
        struct server *server;
        sd_event_source *source;
        int fd; /* -1: free */
        bool closing;
};

struct server {
        sd_event *event;
        struct networks *networks;
        uid_t user;
        sd_event_source *source, *pause;
        bool paused; /* since the last connection that was taken */
        struct peer peers[PEERS_MAX];
        struct peer *daemon; /* NULL: none has said HELLO */
};

static void peer_close(struct peer *p) {
        if (p->server->daemon == p)
                p->server->daemon = NULL;
        p->source = sd_event_source_disable_unref(p->source);
        p->fd = close_fd(p->fd);
}

union control {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * NETD_QUEUES_MAX)];
};

/* Who does not read its replies is not worth waiting for: it is cut off, and says HELLO again. */
static void peer_send(struct peer *p, const struct netd_reply *reply, const int *fds, size_t n_fds) {
        struct iovec iov = {.iov_base = (void *) (uintptr_t) reply, .iov_len = sizeof *reply};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
        union control control = {};
        ssize_t n;

        if (n_fds > 0) {
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
                mh.msg_control = control.bytes;
                mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        }
        do
                n = sendmsg(p->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                log_warning("the daemon does not take its messages: %s", strerror(errno));
                p->closing = true;
        }
}

void server_send_event(const struct netd_reply *event, void *userdata) {
        struct server *s = userdata;

        if (s->daemon && !s->daemon->closing)
                peer_send(s->daemon, event, NULL, 0);
}

static int hello(struct peer *p, struct netd_reply *reply) {
        struct server *s = p->server;

        if (s->daemon && s->daemon != p)
                peer_close(s->daemon);
        s->daemon = p;
        net_forget_named(&s->networks->net);
        return NETD_OK;
}

static void serve(struct peer *p, const struct netd_request *request, struct netd_reply *reply, int *fds) {
        struct networks *n = p->server->networks;

        if (request->verb == NETD_HELLO) {
                (void) hello(p, reply);
                return;
        }
        if (p->server->daemon != p) {
                (void) refuse(reply, NETD_UNEXPECTED, "HELLO comes first");
                return;
        }
        switch ((enum netd_verb) request->verb) {
        case NETD_BRIDGE_UP:
                (void) bridge_up(n, &request->bridge, reply);
                break;
        case NETD_BRIDGE_DOWN:
                (void) bridge_down(n, &request->bridge, reply);
                break;
        case NETD_PORT_ADD:
                (void) port_add(n, &request->port, reply, fds);
                break;
        case NETD_PORT_KEEP:
                (void) port_keep(n, &request->port, reply);
                break;
        case NETD_PORT_REMOVE:
                (void) port_remove(n, &request->port, reply);
                break;
        case NETD_SWEEP:
                (void) networks_sweep(n, reply);
                break;
        case NETD_STATUS:
                (void) networks_status(n, reply);
                break;
        case NETD_PORT_TRAFFIC:
                (void) port_traffic(n, &request->port, reply);
                break;
        default:
                (void) refuse(reply, NETD_UNEXPECTED, "there is no verb %u", request->verb);
        }
}

static void answer(struct peer *p, const struct netd_request *request, size_t size) {
        struct netd_reply reply = {.version = NETD_WIRE_VERSION};
        int fds[NETD_QUEUES_MAX];

        if (size != sizeof *request || request->version != NETD_WIRE_VERSION) {
                (void) refuse(&reply, NETD_UNEXPECTED, "a message has %zu bytes and version %u", sizeof *request,
                        NETD_WIRE_VERSION);
                log_warning("a message of %zu bytes does not follow the protocol; its connection is closed", size);
                peer_send(p, &reply, NULL, 0);
                p->closing = true;
                return;
        }
        reply.verb = request->verb;
        reply.cookie = request->cookie;
        serve(p, request, &reply, fds);
        peer_send(p, &reply, fds, reply.n_fds);
        for (uint32_t i = 0; i < reply.n_fds; i++)
                (void) close(fds[i]);
}

/* Descriptors that somebody sends along have no room, so the kernel closes them. */
static int on_peer(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct netd_request request = {};
        struct peer *p = userdata;
        ssize_t n;

        n = recv(fd, &request, sizeof request, MSG_TRUNC | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0)
                p->closing = true;
        else
                answer(p, &request, (size_t) n);
        if (p->closing)
                peer_close(p);
        return 0;
}

static bool peer_is_welcome(const struct server *s, int fd) {
        struct ucred credentials;
        socklen_t size = sizeof credentials;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
                return false;
        if (credentials.uid == s->user)
                return true;
        log_warning("a connection of uid %u is refused: only uid %u may", credentials.uid, s->user);
        return false;
}

static int peer_add(struct server *s, int fd) {
        for (size_t i = 0; i < PEERS_MAX; i++) {
                struct peer *p = &s->peers[i];
                int r;

                if (p->fd >= 0)
                        continue;
                *p = (struct peer){.server = s, .fd = fd};
                r = sd_event_add_io(s->event, &p->source, fd, EPOLLIN, on_peer, p);
                if (r < 0)
                        p->fd = -1;
                return r;
        }
        return -EUSERS;
}

static int on_pause(sd_event_source *source, uint64_t usec, void *userdata) {
        struct server *s = userdata;

        return sd_event_source_set_enabled(s->source, SD_EVENT_ON);
}

/* A connection that waits and cannot be taken would be told of again and again. */
static void pause_listening(struct server *s, int error) {
        if (!s->paused)
                log_warning("a connection has to wait: %s", strerror(error));
        s->paused = true;
        if (sd_event_source_set_time_relative(s->pause, PAUSE_USEC) >= 0 &&
                sd_event_source_set_enabled(s->pause, SD_EVENT_ONESHOT) >= 0)
                (void) sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
}

static int on_connection(sd_event_source *source, int listener, uint32_t revents, void *userdata) {
        _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct server *s = userdata;
        int r;

        if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                pause_listening(s, errno);
        if (fd < 0)
                return 0;
        s->paused = false;
        if (!peer_is_welcome(s, fd))
                return 0;
        r = peer_add(s, fd);
        if (r < 0)
                log_warning("a connection is refused: %s", strerror(-r));
        else
                (void) take_fd(&fd);
        return 0;
}

int server_new(sd_event *event, struct networks *networks, int fd, uid_t user, struct server **ret) {
        struct server *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return -ENOMEM;
        *s = (struct server){.event = event, .networks = networks, .user = user};
        for (size_t i = 0; i < PEERS_MAX; i++)
                s->peers[i] = (struct peer){.server = s, .fd = -1};
        r = sd_event_add_io(event, &s->source, fd, EPOLLIN, on_connection, s);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &s->pause, CLOCK_MONOTONIC, 0, 0, on_pause, s);
        if (r < 0) {
                (void) server_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

struct server *server_free(struct server *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < PEERS_MAX; i++)
                peer_close(&s->peers[i]);
        (void) sd_event_source_unref(s->source);
        (void) sd_event_source_disable_unref(s->pause);
        free(s);
        return NULL;
}
