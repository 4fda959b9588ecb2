/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "shared/netd-wire.h"

/* The daemon's end of netd's socket, as tests and benchmarks need it: blocking, one request at a time. */

typedef void (*LinkEvent)(const struct netd_reply *event);

/* path NULL: NETD_SOCKET_PATH. Returns the descriptor or a negative errno. */
int link_connect(const char *path);

/* Sends the request and waits for its reply; events on the way go to event, which may be NULL. fds has room for
 * NETD_QUEUES_MAX. 0, or a negative errno: -ECONNRESET when netd has closed the connection. */
int link_call(int sock, struct netd_request *request, struct netd_reply *ret, int *fds, LinkEvent event);

/* One message: -EAGAIN after that many milliseconds. *ret_n_fds of fds are the caller's. */
int link_receive(int sock, int milliseconds, struct netd_reply *ret, int *fds, size_t *ret_n_fds);

/* A netd of our own on a new socket at path, started as systemd does, that serves root (of this namespace). Returns its
 * pid or a negative errno. */
pid_t link_start_netd(const char *program, const char *config, const char *path);
