/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way between a VNC viewer, on standard input and output, and a VM's display. */
#include "fd-display.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

struct way {
        int from, to;
        size_t n;
        char bytes[65536];
};

/* Reads where all is written, writes where something is left. Returns 0 at the end of either side. */
static int carry_some(struct way *w) {
        ssize_t n = w->n > 0 ? write(w->to, w->bytes, w->n) : read(w->from, w->bytes, sizeof w->bytes);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 1 : errno == EPIPE || errno == ECONNRESET ? 0 : -errno;
        if (n == 0)
                return 0;
        if (w->n > 0) {
                w->n -= (size_t) n;
                memmove(w->bytes, w->bytes + n, w->n);
        } else
                w->n = (size_t) n;
        return 1;
}

static int carry_all(struct way ways[static 2]) {
        int r = 1;

        while (r > 0) {
                struct pollfd polls[2];

                for (size_t i = 0; i < 2; i++)
                        polls[i] = ways[i].n > 0 ? (struct pollfd){.fd = ways[i].to, .events = POLLOUT}
                                                 : (struct pollfd){.fd = ways[i].from, .events = POLLIN};
                if (poll(polls, 2, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                for (size_t i = 0; i < 2 && r > 0; i++)
                        if (polls[i].revents)
                                r = carry_some(&ways[i]);
        }
        return r;
}

int fd_carry(int fd) {
        static struct way ways[2];
        const int fds[] = {fd, STDIN_FILENO, STDOUT_FILENO};
        int flags[3], r = 0;

        ways[0] = (struct way){.from = STDIN_FILENO, .to = fd};
        ways[1] = (struct way){.from = fd, .to = STDOUT_FILENO};
        for (size_t i = 0; i < 3; i++) {
                flags[i] = fcntl(fds[i], F_GETFL);
                if (flags[i] < 0 || fcntl(fds[i], F_SETFL, flags[i] | O_NONBLOCK) < 0)
                        r = -errno;
        }
        if (r >= 0)
                r = carry_all(ways);
        /* They may be others' too, as a terminal is; the last one first, where two are the same. */
        for (size_t i = 3; i-- > 0;)
                if (flags[i] >= 0)
                        (void) fcntl(fds[i], F_SETFL, flags[i]);
        return r;
}
