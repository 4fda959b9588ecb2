/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "monitor/qmp.h"

/* Who looks at the machine's display: gives stream sockets to QEMU's VNC server, which listens nowhere. One after the
 * other, because QEMU holds one descriptor of its control socket at a time; it counts its viewers itself. */
struct display;

#define DISPLAY_VIEWERS_MAX 8U
#define DISPLAY_WAITING_MAX 8U /* sockets that wait for their turn */

/* error 0: QEMU has the socket. -EMFILE: DISPLAY_VIEWERS_MAX look already. Others, and text, as in qmp.h. */
typedef void (*display_done_t)(void *userdata, json_int_t id, int error, const char *text);

int display_new(display_done_t done, void *userdata, struct display **ret);

/* Those who wait are not called any more. Takes NULL, returns NULL. */
struct display *display_free(struct display *display);

/* Takes fd in any case; done is called once, unless this fails: -EINVAL for what is no stream socket, -EBUSY when
 * DISPLAY_WAITING_MAX wait. qmp is borrowed for as long as done is not called. */
int display_add(struct display *display, struct qmp *qmp, json_int_t id, int fd);
