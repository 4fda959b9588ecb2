/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

/* The connection to mcp-runtimed. It may go away at any time and comes back by itself. */
struct daemon_link;

#define DAEMON_LINK_RETRY_MIN_USEC (100U * 1000U)
#define DAEMON_LINK_RETRY_MAX_USEC (2U * 1000U * 1000U)

struct daemon_link_ops {
        /* What to say first on a new connection; NULL ends it. */
        json_t *(*hello)(void *userdata);
        /* A negative result ends the connection. */
        /* fds are closed afterwards where the callee has not set them to -1. */
        int (*message)(void *userdata, const json_t *message, int *fds, size_t n_fds);
        /* The connection ended, the next is being tried. */
        void (*closed)(void *userdata);
};

/* fd: the connection on which the launch came; taken in any case. */
int daemon_link_new(
        sd_event *event, int fd, const struct daemon_link_ops *ops, void *userdata, struct daemon_link **ret);
struct daemon_link *daemon_link_free(struct daemon_link *link);

/* Takes the reference of message. What cannot be sent at once is lost with its connection: the hello of the next one
 * says what is. */
void daemon_link_send(struct daemon_link *link, json_t *message);

bool daemon_link_is_connected(const struct daemon_link *link);

/* Whether the daemon reads this connection. One that only waits in the backlog of the socket is connected as well. */
bool daemon_link_is_heard(const struct daemon_link *link);

/* Handles the messages that have arrived already. */
void daemon_link_drain(struct daemon_link *link);
