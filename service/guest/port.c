/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's end of the port org.mcp.guest. The driver reports an absent host as POLLHUP, and keeps doing so; an
 * absent host is therefore looked for by time. */
#include "guest/port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/device.h"
#include "shared/fd.h"

#define DELAY_FIRST_USEC 20000U
#define DELAY_LAST_USEC 1000000U
#define READ_MAX 512U

int port_open(struct port *port, uint64_t usec) {
        char name[DEVICE_NAME_MAX], path[sizeof("/dev/") + DEVICE_NAME_MAX];
        int r;

        r = device_wait("/sys/class/virtio-ports", "vport", "name", GUEST_PORT_NAME, usec, name);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "/dev/%s", name);
        r = device_open_wait(path, O_RDWR | O_NONBLOCK, usec);
        if (r < 0)
                return r;
        port->fd = r;
        return 0;
}

static void host_is_away(struct port *port) {
        uint64_t delay = port->delay * 2;

        if (delay < DELAY_FIRST_USEC)
                delay = DELAY_FIRST_USEC;
        if (delay > DELAY_LAST_USEC)
                delay = DELAY_LAST_USEC;
        port->delay = delay;
        port->retry_at = now_monotonic() + delay;
}

static void write_out(struct port *port) {
        ssize_t n;

        if (port->fd < 0 || port->out_len == 0)
                return;
        n = write(port->fd, port->out, port->out_len);
        if (n <= 0)
                return;
        port->out_len -= (size_t) n;
        memmove(port->out, port->out + n, port->out_len);
}

void port_send(struct port *port, enum guest_frame_type type, const void *payload, size_t length) {
        port->out_len += frame_encode(
                port->out + port->out_len, sizeof(port->out) - port->out_len, (uint16_t) type, payload, length);
        write_out(port);
}

void port_prepare(const struct port *port, struct pollfd *ret, int *timeout) {
        uint64_t now = now_monotonic();

        *ret = (struct pollfd){.fd = port->fd, .events = (short) (POLLIN | (port->out_len > 0 ? POLLOUT : 0))};
        if (port->fd >= 0 && port->retry_at > now) {
                int wait = (int) ((port->retry_at - now) / 1000) + 1;

                ret->fd = -1;
                if (*timeout < 0 || wait < *timeout)
                        *timeout = wait;
        }
}

static void read_in(struct port *port) {
        uint8_t buf[READ_MAX];
        size_t room = sizeof(port->in.buf) - (port->in.end - port->in.start);
        ssize_t n;

        n = read(port->fd, buf, room < sizeof(buf) ? room : sizeof(buf));
        if (n > 0)
                (void) frame_reader_feed(&port->in, buf, (size_t) n);
        else if (n == 0)
                host_is_away(port);
        else if (errno == ENODEV)
                port->fd = close_fd(port->fd);
}

void port_process(struct port *port, short revents) {
        if (port->fd < 0 || revents == 0)
                return;
        if (revents & (POLLHUP | POLLERR | POLLNVAL))
                host_is_away(port);
        else
                port->retry_at = port->delay = 0;
        if (revents & POLLIN)
                read_in(port);
        write_out(port);
}

bool port_next(struct port *port, struct frame *ret) {
        return frame_reader_next(&port->in, ret);
}

void port_flush(struct port *port, uint64_t usec) {
        uint64_t end = now_monotonic() + usec;

        write_out(port);
        while (port->fd >= 0 && port->out_len > 0 && now_monotonic() < end) {
                (void) usleep(2000);
                write_out(port);
        }
}
