/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns a helper's launch connection after the launch: messages both ways, and a new connection when it breaks. */
#include "shared/daemon-link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

struct daemon_link {
        sd_event *event;
        int fd; /* -1: between two connections */
        bool heard;
        uint64_t backoff;
        const struct daemon_link_ops *ops;
        void *userdata;
        sd_event_source *io, *retry;
};

static int attach(struct daemon_link *link, int fd);

bool daemon_link_is_connected(const struct daemon_link *link) {
        return link->fd >= 0;
}

bool daemon_link_is_heard(const struct daemon_link *link) {
        int unread = 1;

        if (link->fd < 0 || link->heard)
                return link->fd >= 0;
        /* A daemon that has taken our hello out of the socket is there, also when it had nothing to say to it. */
        return ioctl(link->fd, SIOCOUTQ, &unread) >= 0 && unread == 0;
}

static void schedule_retry(struct daemon_link *link) {
        (void) sd_event_source_set_time_relative(link->retry, link->backoff);
        (void) sd_event_source_set_enabled(link->retry, SD_EVENT_ONESHOT);
        link->backoff = link->backoff * 2 < DAEMON_LINK_RETRY_MAX_USEC ? link->backoff * 2 : DAEMON_LINK_RETRY_MAX_USEC;
}

static void detach(struct daemon_link *link) {
        link->io = sd_event_source_disable_unref(link->io);
        link->fd = close_fd(link->fd);
        link->heard = false;
}

static void lose(struct daemon_link *link) {
        if (link->fd < 0)
                return;
        detach(link);
        schedule_retry(link);
        link->ops->closed(link->userdata);
}

static int reconnect(struct daemon_link *link) {
        _cleanup_close_ int fd = -1;
        json_t *hello;
        int r;

        fd = wire_open(NULL, SOCK_NONBLOCK);
        if (fd < 0)
                return fd;
        hello = link->ops->hello(link->userdata);
        if (!hello)
                return -ENOMEM;
        r = wire_send_new(fd, hello);
        return r < 0 ? r : attach(link, take_fd(&fd));
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon_link *link = userdata;

        if (reconnect(link) < 0)
                schedule_retry(link);
        return 0;
}

/* Receives one message. False when there is none. */
static bool receive(struct daemon_link *link) {
        int fds[LAUNCH_FDS_MAX], r;
        json_t *message;
        size_t n_fds;

        r = wire_recv(link->fd, &message, fds, &n_fds);
        if (r == -EAGAIN)
                return false;
        if (r <= 0) {
                lose(link);
                return false;
        }
        link->heard = true;
        link->backoff = DAEMON_LINK_RETRY_MIN_USEC;
        r = link->ops->message(link->userdata, message, fds, n_fds);
        while (n_fds > 0)
                (void) close_fd(fds[--n_fds]);
        json_decref(message);
        if (r < 0)
                lose(link);
        return r >= 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        (void) receive(userdata);
        return 0;
}

void daemon_link_drain(struct daemon_link *link) {
        /* Unread messages at our end would cost the daemon our last one: the kernel then reports a broken connection
         * first. */
        while (link->fd >= 0 && receive(link))
                ;
}

/* Takes fd, also on failure. */
static int attach(struct daemon_link *link, int fd) {
        int r;

        link->fd = fd;
        r = fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
        if (r >= 0)
                r = sd_event_add_io(link->event, &link->io, fd, EPOLLIN, on_io, link);
        if (r >= 0)
                /* The daemon is heard before a guest that never stops talking. */
                r = sd_event_source_set_priority(link->io, SD_EVENT_PRIORITY_IMPORTANT);
        if (r < 0)
                detach(link);
        return r;
}

int daemon_link_new(
        sd_event *event, int fd, const struct daemon_link_ops *ops, void *userdata, struct daemon_link **ret) {
        struct daemon_link *link = calloc(1, sizeof *link);
        int r;

        if (!link) {
                (void) close_fd(fd);
                return -ENOMEM;
        }
        *link = (struct daemon_link){.event = sd_event_ref(event),
                .fd = -1,
                .backoff = DAEMON_LINK_RETRY_MIN_USEC,
                .ops = ops,
                .userdata = userdata};
        r = attach(link, fd);
        link->heard = true;
        if (r >= 0)
                r = sd_event_add_time(event, &link->retry, CLOCK_MONOTONIC, 0, 10000, on_retry, link);
        if (r >= 0)
                r = sd_event_source_set_enabled(link->retry, SD_EVENT_OFF);
        if (r < 0) {
                daemon_link_free(link);
                return r;
        }
        *ret = link;
        return 0;
}

struct daemon_link *daemon_link_free(struct daemon_link *link) {
        if (!link)
                return NULL;
        detach(link);
        sd_event_source_disable_unref(link->retry);
        sd_event_unref(link->event);
        free(link);
        return NULL;
}

void daemon_link_send(struct daemon_link *link, json_t *message) {
        int r = -ENOTCONN;

        if (!link || link->fd < 0) {
                json_decref(message);
                return;
        }
        r = wire_send_new(link->fd, message);
        /* A daemon that reads nothing for 200 kB of our small messages is as good as gone. A message that is too
         * long for the wire would be too long again. */
        if (r < 0 && r != -EMSGSIZE && r != -ENOMEM)
                lose(link);
}
