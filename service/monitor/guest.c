/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the monitor's end of the virtio-serial port org.mcp.guest. */
#include "monitor/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "shared/fd.h"

struct guest {
        int fd;
        const struct guest_ops *ops;
        void *userdata;
        sd_event_source *io;
        struct frames frames;
};

static void end_port(struct guest *guest, int error) {
        if (guest->fd < 0)
                return;
        guest->io = sd_event_source_disable_unref(guest->io);
        guest->fd = close_fd(guest->fd);
        guest->ops->gone(guest->userdata, error);
}

/* Reads once. Returns 1 when there may be more. */
static int read_some(struct guest *guest) {
        char buf[8192];
        ssize_t n = recv(guest->fd, buf, sizeof buf, MSG_DONTWAIT);
        int r;

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -ECONNRESET;
        r = frames_feed(&guest->frames, buf, (size_t) n, guest->ops->frame, guest->userdata);
        return r < 0 ? r : 1;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct guest *guest = userdata;
        int r = read_some(guest);

        if (r < 0)
                end_port(guest, r);
        return 0;
}

int guest_new(sd_event *event, int fd, const struct guest_ops *ops, void *userdata, struct guest **ret) {
        struct guest *guest = calloc(1, sizeof *guest);
        int r;

        if (!guest) {
                (void) close_fd(fd);
                return -ENOMEM;
        }
        guest->fd = fd;
        guest->ops = ops;
        guest->userdata = userdata;
        r = sd_event_add_io(event, &guest->io, fd, EPOLLIN, on_io, guest);
        if (r < 0) {
                guest_free(guest);
                return r;
        }
        *ret = guest;
        return 0;
}

struct guest *guest_free(struct guest *guest) {
        if (!guest)
                return NULL;
        sd_event_source_disable_unref(guest->io);
        (void) close_fd(guest->fd);
        free(guest);
        return NULL;
}

int guest_send(struct guest *guest, enum guest_frame_type type, uint32_t number) {
        uint8_t buf[FRAME_OUT_MAX];
        size_t len = frame_format(buf, type, number);
        ssize_t n;

        if (!guest || guest->fd < 0)
                return -ENOTCONN;
        do
                n = send(guest->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        /* Half a frame would garble the next one: better no port at all. */
        if ((size_t) n < len) {
                end_port(guest, -EIO);
                return -EIO;
        }
        return 0;
}

void guest_drain(struct guest *guest) {
        int r = 1;

        while (guest && guest->fd >= 0 && r > 0)
                r = read_some(guest);
        if (guest && r < 0)
                end_port(guest, r);
}

void guest_reset(struct guest *guest) {
        if (!guest)
                return;
        guest_drain(guest);
        guest->frames.len = 0;
}
