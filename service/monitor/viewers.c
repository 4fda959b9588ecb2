/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the sockets of those who look at the console. */
#include "monitor/viewers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/fd.h"

struct viewer {
        struct viewers *viewers;
        int fd;
        sd_event_source *io;
        bool write;
};

struct viewers {
        sd_event *event;
        struct viewer list[VIEWERS_MAX];
        int guest; /* a duplicate: epoll knows the original already */
        sd_event_source *guest_io;
        char pending[VIEWERS_PENDING_MAX];
        size_t n_pending;
};

int viewers_new(sd_event *event, struct viewers **ret) {
        struct viewers *v = calloc(1, sizeof *v);

        if (!v)
                return -ENOMEM;
        v->event = sd_event_ref(event);
        v->guest = -1;
        for (size_t i = 0; i < VIEWERS_MAX; i++)
                v->list[i] = (struct viewer) {.viewers = v, .fd = -1};
        *ret = v;
        return 0;
}

static void viewer_drop(struct viewer *w) {
        w->io = sd_event_source_disable_unref(w->io);
        w->fd = close_fd(w->fd);
        w->write = false;
}

static struct viewer *find_writer(struct viewers *v) {
        for (size_t i = 0; i < VIEWERS_MAX; i++)
                if (v->list[i].fd >= 0 && v->list[i].write)
                        return &v->list[i];
        return NULL;
}

static void forget_guest(struct viewers *v) {
        struct viewer *writer = find_writer(v);

        v->guest_io = sd_event_source_disable_unref(v->guest_io);
        v->guest = close_fd(v->guest);
        v->n_pending = 0;
        if (writer)
                (void) sd_event_source_set_enabled(writer->io, SD_EVENT_ON);
}

struct viewers *viewers_free(struct viewers *v) {
        if (!v)
                return NULL;
        for (size_t i = 0; i < VIEWERS_MAX; i++)
                viewer_drop(&v->list[i]);
        forget_guest(v);
        sd_event_unref(v->event);
        free(v);
        return NULL;
}

/* Gives the guest what was typed. The writer is heard again once all of it is gone; until then its end is no news. */
static void push_pending(struct viewers *v) {
        struct viewer *writer = find_writer(v);
        ssize_t n = 0;

        while (v->n_pending > 0 && v->guest >= 0) {
                n = send(v->guest, v->pending, v->n_pending, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n <= 0)
                        break;
                v->n_pending -= (size_t) n;
                memmove(v->pending, v->pending + n, v->n_pending);
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR)
                forget_guest(v);
        if (v->guest_io)
                (void) sd_event_source_set_enabled(v->guest_io, v->n_pending > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
        if (writer)
                (void) sd_event_source_set_enabled(writer->io, v->n_pending > 0 ? SD_EVENT_OFF : SD_EVENT_ON);
}

static int on_guest(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        push_pending(userdata);
        return 0;
}

int viewers_set_guest(struct viewers *v, int fd) {
        int r;

        forget_guest(v);
        if (fd < 0)
                return 0;
        v->guest = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (v->guest < 0)
                return -errno;
        r = sd_event_add_io(v->event, &v->guest_io, v->guest, EPOLLOUT, on_guest, v);
        return r < 0 ? r : sd_event_source_set_enabled(v->guest_io, SD_EVENT_OFF);
}

static int on_viewer(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct viewer *w = userdata;
        struct viewers *v = w->viewers;
        char unread[256];
        ssize_t n;

        if (w->write && v->n_pending > 0)
                return 0;
        /* What a mere reader sends is dropped; its end is what is looked for. */
        if (w->write)
                n = recv(fd, v->pending, sizeof v->pending, MSG_DONTWAIT);
        else
                n = recv(fd, unread, sizeof unread, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                viewer_drop(w);
                return 0;
        }
        if (w->write) {
                v->n_pending = (size_t) n;
                push_pending(v);
        }
        return 0;
}

/* A writer that has gone is kept as long as the guest takes what it typed, and nobody else wants to write. */
static bool may_write(struct viewers *v) {
        struct viewer *writer = find_writer(v);
        struct pollfd p = {.fd = writer ? writer->fd : -1};

        if (writer && poll(&p, 1, 0) > 0 && (p.revents & POLLHUP)) {
                viewer_drop(writer);
                return true;
        }
        return !writer;
}

int viewers_add(struct viewers *v, int fd, bool write) {
        bool free_to_write = !write || may_write(v);
        struct viewer *w = NULL;
        int r = 0;

        for (size_t i = 0; i < VIEWERS_MAX && !w; i++)
                if (v->list[i].fd < 0)
                        w = &v->list[i];
        if (!fd_is_stream(fd))
                r = -EINVAL;
        else if (!w)
                r = -EMFILE;
        else if (!free_to_write)
                r = -EBUSY;
        else
                r = sd_event_add_io(v->event, &w->io, fd, EPOLLIN, on_viewer, w);
        if (r < 0) {
                (void) close_fd(fd);
                return r;
        }
        w->fd = fd;
        w->write = write;
        if (write && v->n_pending > 0) /* of the one before */
                (void) sd_event_source_set_enabled(w->io, SD_EVENT_OFF);
        return 0;
}

void viewers_show(struct viewers *v, const void *data, size_t len) {
        for (size_t i = 0; i < VIEWERS_MAX; i++) {
                struct viewer *w = &v->list[i];

                /* A writer that does not listen any more may have typed what the guest has not got yet. */
                if (w->fd >= 0 && send(w->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN &&
                        errno != EINTR && !w->write)
                        viewer_drop(w);
        }
}
