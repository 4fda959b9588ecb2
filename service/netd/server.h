/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "netd/networks.h"

/* Owns the connections: takes only the daemon's user, reads requests, sends replies and events. One connection is the
 * daemon: the one with the last HELLO. */

struct server;

/* fd: the listening socket, borrowed. user: whose connections are taken. */
int server_new(sd_event *event, struct networks *networks, int fd, uid_t user, struct server **ret);
struct server *server_free(struct server *s);

/* For networks.event; userdata is the server. */
void server_send_event(const struct netd_reply *event, void *userdata);
