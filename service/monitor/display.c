/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the sockets that are on their way to QEMU's VNC server. */
#include "monitor/display.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "shared/fd.h"

struct waiting {
        struct qmp *qmp;
        json_int_t id;
        int fd;
};

struct display {
        display_done_t done;
        void *userdata;
        struct waiting list[DISPLAY_WAITING_MAX]; /* the first is at work */
        size_t n_waiting;
        bool working; /* QEMU is asked, or somebody above on the stack goes through the list */
};

int display_new(display_done_t done, void *userdata, struct display **ret) {
        struct display *d = calloc(1, sizeof *d);

        if (!d)
                return -ENOMEM;
        *d = (struct display){.done = done, .userdata = userdata};
        *ret = d;
        return 0;
}

struct display *display_free(struct display *d) {
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n_waiting; i++)
                (void) close_fd(d->list[i].fd);
        free(d);
        return NULL;
}

/* The first is done, one way or the other. */
static void finish_first(struct display *d, int error, const char *text) {
        struct waiting first = d->list[0];

        (void) close_fd(first.fd);
        memmove(d->list, d->list + 1, --d->n_waiting * sizeof *d->list);
        d->done(d->userdata, first.id, error, text);
}

static void work(struct display *d);

static void on_added(void *userdata, int error, const char *text, const json_t *value) {
        struct display *d = userdata;

        finish_first(d, error, text);
        work(d);
}

/* QEMU has the descriptor under its name: whose viewer it is was decided by the gate, not by a password of VNC's. */
static void on_got(void *userdata, int error, const char *text, const json_t *value) {
        struct display *d = userdata;

        if (error >= 0) {
                error = qmp_execute(d->list[0].qmp, "add_client",
                        json_pack("{s:s, s:s, s:b}", "protocol", "vnc", "fdname", "display", "skipauth", 1), on_added,
                        d);
                if (error >= 0)
                        return;
                text = strerror(-error);
        }
        finish_first(d, error, text);
        work(d);
}

static size_t count_viewers(const json_t *servers) {
        size_t n = 0;

        for (size_t i = 0; i < json_array_size(servers); i++)
                n += json_array_size(json_object_get(json_array_get(servers, i), "clients"));
        return n;
}

static void on_servers(void *userdata, int error, const char *text, const json_t *value) {
        struct display *d = userdata;

        if (error >= 0 && count_viewers(value) >= DISPLAY_VIEWERS_MAX) {
                error = -EMFILE;
                text = "no more viewers";
        }
        if (error >= 0) {
                error = qmp_execute_fd(d->list[0].qmp, "getfd", json_pack("{s:s}", "fdname", "display"),
                        take_fd(&d->list[0].fd), on_got, d);
                if (error >= 0)
                        return;
                text = strerror(-error);
        }
        finish_first(d, error, text);
        work(d);
}

/* Goes on with the next one that QEMU can be asked about. */
static void work(struct display *d) {
        d->working = true;
        while (d->n_waiting > 0) {
                int r = qmp_execute(d->list[0].qmp, "query-vnc-servers", NULL, on_servers, d);

                if (r >= 0)
                        return;
                finish_first(d, r, strerror(-r));
        }
        d->working = false;
}

int display_add(struct display *d, struct qmp *qmp, json_int_t id, int fd) {
        int r = !fd_is_stream(fd) ? -EINVAL : d->n_waiting == DISPLAY_WAITING_MAX ? -EBUSY : 0;

        if (r < 0) {
                (void) close_fd(fd);
                return r;
        }
        d->list[d->n_waiting++] = (struct waiting){.qmp = qmp, .id = id, .fd = fd};
        if (!d->working)
                work(d);
        return 0;
}
