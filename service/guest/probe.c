/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The attempts of a probe. A server may listen on one address only: it is looked for on the loopback, then on the
 * guest's own address, then on the loopback of IPv6. */
#include "guest/probe.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/fd.h"

enum { ADDRESS_LOOPBACK, ADDRESS_OWN, ADDRESS_LOOPBACK6, ADDRESSES };

void probe_begin(struct probe *p, const struct probe_plan *plan, struct in_addr own, uint64_t now) {
        *p = (struct probe){.plan = *plan, .own = own, .fd = -1, .next = now};
        if (plan->kind == PROBE_MESSAGE)
                p->next = now + plan->interval;
}

void probe_end(struct probe *p) {
        p->fd = close_fd(p->fd);
        p->plan.kind = PROBE_NONE;
}

/* 0, or why not; -EINPROGRESS is on its way. */
static int connect_to(const struct probe *p, int fd) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(p->plan.port)};
        struct sockaddr_in6 v6 = {
                .sin6_family = AF_INET6, .sin6_port = htons(p->plan.port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        int r;

        v4.sin_addr.s_addr = p->address == ADDRESS_OWN ? p->own.s_addr : htonl(INADDR_LOOPBACK);
        r = p->address == ADDRESS_LOOPBACK6 ? connect(fd, (struct sockaddr *) &v6, sizeof(v6))
                                            : connect(fd, (struct sockaddr *) &v4, sizeof(v4));
        return r < 0 ? -errno : 0;
}

/* Tries the addresses from p->address on. False when none is left. */
static bool try_addresses(struct probe *p) {
        for (; p->address < ADDRESSES; p->address++) {
                int family = p->address == ADDRESS_LOOPBACK6 ? AF_INET6 : AF_INET, r;

                if (p->address == ADDRESS_OWN && p->own.s_addr == 0)
                        continue;
                p->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                r = p->fd < 0 ? -errno : connect_to(p, p->fd);
                if (r >= 0 || r == -EINPROGRESS)
                        return true;
                p->fd = close_fd(p->fd);
        }
        return false;
}

static enum probe_result finish(struct probe *p, bool good) {
        p->fd = close_fd(p->fd);
        return good ? PROBE_GOOD : PROBE_BAD;
}

static enum probe_result attempt(struct probe *p, uint64_t now) {
        bool notified = p->notified;

        p->next = now + p->plan.interval;
        if (p->plan.kind == PROBE_MESSAGE) {
                p->notified = false;
                return notified ? PROBE_GOOD : PROBE_BAD;
        }
        p->deadline = now + p->plan.timeout;
        p->address = 0;
        p->connected = false;
        p->len = 0;
        return try_addresses(p) ? PROBE_PENDING : PROBE_BAD;
}

static bool send_request(struct probe *p) {
        char text[HTTP_REQUEST_MAX];
        size_t n = http_request(p->plan.path, text);

        /* A new connection takes that much at once. */
        return send(p->fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t) n;
}

static enum probe_result on_connected(struct probe *p) {
        int error = 0;
        socklen_t len = sizeof(error);

        if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
                p->fd = close_fd(p->fd);
                p->address++;
                return try_addresses(p) ? PROBE_PENDING : PROBE_BAD;
        }
        p->connected = true;
        if (p->plan.kind == PROBE_TCP)
                return finish(p, true);
        return send_request(p) ? PROBE_PENDING : finish(p, false);
}

static enum probe_result on_answer(struct probe *p) {
        ssize_t n = recv(p->fd, p->answer + p->len, sizeof(p->answer) - p->len, MSG_DONTWAIT);
        int status;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return PROBE_PENDING;
        if (n <= 0)
                return finish(p, false);
        p->len += (size_t) n;
        status = http_status(p->answer, p->len);
        return status == 0 ? PROBE_PENDING : finish(p, status >= 200 && status <= 399);
}

void probe_prepare(const struct probe *p, struct pollfd *ret, int *timeout, uint64_t now) {
        uint64_t due = p->fd >= 0 ? p->deadline : p->next;
        int wait;

        *ret = (struct pollfd){
                .fd = p->plan.kind == PROBE_NONE ? -1 : p->fd, .events = (short) (p->connected ? POLLIN : POLLOUT)};
        if (p->plan.kind == PROBE_NONE)
                return;
        wait = due <= now ? 0 : (int) ((due - now) / 1000) + 1;
        if (*timeout < 0 || wait < *timeout)
                *timeout = wait;
}

enum probe_result probe_process(struct probe *p, short revents, uint64_t now) {
        enum probe_result result = PROBE_PENDING;

        if (p->plan.kind == PROBE_NONE)
                return PROBE_PENDING;
        if (p->fd < 0)
                return now >= p->next ? attempt(p, now) : PROBE_PENDING;
        if (revents)
                result = p->connected ? on_answer(p) : on_connected(p);
        if (result == PROBE_PENDING && now >= p->deadline)
                result = finish(p, false);
        return result;
}
