/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

/* Who looks at the program's console, and who types: stream sockets with the raw bytes. Many read, one writes. Nobody holds the guest
 * up: a viewer that does not read loses what it missed. */
struct viewers;

#define VIEWERS_MAX 8U
#define VIEWERS_PENDING_MAX 4096U /* typed bytes that the guest has not taken; then the writer waits */

int viewers_new(sd_event *event, struct viewers **ret);

/* Takes NULL, returns NULL. The viewers see the end. */
struct viewers *viewers_free(struct viewers *viewers);

/* What is typed goes to this socket of the guest's console from now on; it is borrowed, and -1 when it is gone. */
int viewers_set_guest(struct viewers *viewers, int fd);

/* Takes fd in any case. -EBUSY when somebody else writes, -EMFILE beyond VIEWERS_MAX, -EINVAL for what is no stream socket. */
int viewers_add(struct viewers *viewers, int fd, bool write);

/* Output of the guest. */
void viewers_show(struct viewers *viewers, const void *data, size_t len);
