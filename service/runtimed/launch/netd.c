/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the connection to mcp-netd: requests in order, their replies, the way back after either side's death. */
#include "launch/netd.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shared/fd.h"
#include "shared/log.h"

#define RETRY_MIN_USEC (100ULL * 1000ULL)
#define RETRY_MAX_USEC (10ULL * G_USEC_PER_SEC)

typedef struct NetdCall {
        struct netd_request request;
        NetdDone done;
        GDestroyNotify drop;
        void *userdata;
        bool sent;
} NetdCall;

struct Netd {
        sd_event *event;
        const NetdOps *ops;
        void *userdata;
        int fd;
        sd_event_source *io, *retry;
        uint64_t delay;
        uint64_t last_cookie;
        GQueue calls; /* NetdCall in order; those that were sent come first */
};

static void call_end(NetdCall *c, const struct netd_reply *reply, int *fds, size_t n_fds) {
        if (c->done)
                c->done(reply, fds, n_fds, c->userdata);
        g_free(c);
}

/* Those who wait hear that there will be no answer: all of them, or those whose request went out. Only from the loop,
 * so that nobody is called from within netd_call(), and only while there is a retry to come: what they ask for then
 * waits for that, behind what waits already. */
static void fail_calls(Netd *n, bool all) {
        GQueue calls = n->calls, failed = G_QUEUE_INIT;
        NetdCall *c;

        g_queue_init(&n->calls);
        while ((c = g_queue_pop_head(&calls)))
                g_queue_push_tail(all || c->sent ? &failed : &n->calls, c);
        while ((c = g_queue_pop_head(&failed)))
                call_end(c, NULL, NULL, 0);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Netd *n = userdata;

        fail_calls(n, false);
        n->retry = sd_event_source_unref(n->retry);
        netd_wake(n);
        if (n->fd < 0)
                fail_calls(n, true);
        return 0;
}

/* The connection is gone; the next one is tried after a while, and what was asked is answered then. */
static void disconnect(Netd *n) {
        n->io = sd_event_source_disable_unref(n->io);
        n->fd = close_fd(n->fd);
        if (!n->retry)
                (void) sd_event_add_time_relative(n->event, &n->retry, CLOCK_MONOTONIC, n->delay, 0, on_retry, n);
        n->delay = MIN(n->delay * 2, RETRY_MAX_USEC);
}

/* One message with its descriptors. Returns 1, 0 at the end, negative errno. */
static int receive(int fd, struct netd_reply *ret, int *fds, size_t *ret_n_fds) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int) * NETD_QUEUES_MAX)];
        } control;
        struct iovec iov = {.iov_base = ret, .iov_len = sizeof *ret};
        struct msghdr mh = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control};
        size_t n_fds = 0;
        ssize_t n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

        if (n <= 0)
                return n < 0 ? -errno : 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
                        n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                        memcpy(fds, CMSG_DATA(c), n_fds * sizeof(int));
                }
        *ret_n_fds = n_fds;
        if ((size_t) n != sizeof *ret || mh.msg_flags & (MSG_CTRUNC | MSG_TRUNC) || ret->version != NETD_WIRE_VERSION) {
                for (size_t i = 0; i < n_fds; i++)
                        (void) close_fd(fds[i]);
                return -EBADMSG;
        }
        ret->text[sizeof ret->text - 1] = 0;
        ret->interface[sizeof ret->interface - 1] = 0;
        ret->uuid[sizeof ret->uuid - 1] = 0;
        return 1;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Netd *n = userdata;
        int fds[NETD_QUEUES_MAX];
        struct netd_reply reply;
        size_t n_fds = 0;
        NetdCall *c;
        int r;

        r = receive(fd, &reply, fds, &n_fds);
        if (r == -EAGAIN)
                return 0;
        if (r <= 0) {
                log_warning("mcp-netd has gone%s%s", r < 0 ? ": " : "", r < 0 ? g_strerror(-r) : "");
                disconnect(n);
                return 0;
        }
        n->delay = RETRY_MIN_USEC;
        if (reply.verb >= NETD_EVENT_BRIDGE)
                n->ops->event(&reply, n->userdata);
        else {
                c = g_queue_peek_head(&n->calls);
                if (!c || !c->sent || c->request.cookie != reply.cookie) {
                        disconnect(n);
                } else {
                        (void) g_queue_pop_head(&n->calls);
                        call_end(c, &reply, fds, n_fds);
                }
        }
        for (size_t i = 0; i < n_fds; i++)
                (void) close_fd(fds[i]);
        return 0;
}

static void send_waiting(Netd *n) {
        for (GList *l = n->calls.head; l; l = l->next) {
                NetdCall *c = l->data;

                if (c->sent)
                        continue;
                if (send(n->fd, &c->request, sizeof c->request, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
                        disconnect(n);
                        return;
                }
                c->sent = true;
        }
}

static void append(Netd *n, const struct netd_request *request, NetdDone done, GDestroyNotify drop, void *userdata) {
        NetdCall *c = g_new0(NetdCall, 1);

        *c = (NetdCall){.request = *request, .done = done, .drop = drop, .userdata = userdata};
        c->request.version = NETD_WIRE_VERSION;
        c->request.cookie = ++n->last_cookie;
        g_queue_push_tail(&n->calls, c);
}

void netd_wake(Netd *n) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = NETD_SOCKET_PATH};
        const struct netd_request hello = {.verb = NETD_HELLO};
        GQueue waiting;

        if (n->fd >= 0 || n->retry)
                return;
        n->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (n->fd < 0 || connect(n->fd, (struct sockaddr *) &sa, sizeof sa) < 0 ||
                sd_event_add_io(n->event, &n->io, n->fd, EPOLLIN, on_io, n) < 0) {
                log_warning("mcp-netd cannot be reached at " NETD_SOCKET_PATH ": %s", g_strerror(errno));
                disconnect(n);
                return;
        }
        /* The session goes before what was asked meanwhile. */
        waiting = n->calls;
        g_queue_init(&n->calls);
        append(n, &hello, NULL, NULL, NULL);
        n->ops->connected(n->userdata);
        while (waiting.head)
                g_queue_push_tail(&n->calls, g_queue_pop_head(&waiting));
        if (n->fd >= 0)
                send_waiting(n);
}

void netd_call(Netd *n, const struct netd_request *request, NetdDone done, GDestroyNotify drop, void *userdata) {
        append(n, request, done, drop, userdata);
        if (n->fd >= 0)
                send_waiting(n);
        else
                netd_wake(n);
}

Netd *netd_new(sd_event *event, const NetdOps *ops, void *userdata) {
        Netd *n = g_new0(Netd, 1);

        *n = (Netd){.event = sd_event_ref(event), .ops = ops, .userdata = userdata, .fd = -1, .delay = RETRY_MIN_USEC};
        g_queue_init(&n->calls);
        return n;
}

static void call_drop(void *p) {
        NetdCall *c = p;

        if (c->drop)
                c->drop(c->userdata);
        g_free(c);
}

Netd *netd_free(Netd *n) {
        if (!n)
                return NULL;
        n->retry = sd_event_source_disable_unref(n->retry);
        n->io = sd_event_source_disable_unref(n->io);
        n->fd = close_fd(n->fd);
        g_queue_clear_full(&n->calls, call_drop);
        sd_event_unref(n->event);
        g_free(n);
        return NULL;
}
