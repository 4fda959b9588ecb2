/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* JSON messages with descriptors over SOCK_SEQPACKET, see launch-wire.h. */

/* Sends one message. fds are borrowed. Never blocks on a non-blocking socket: -EAGAIN. -EMSGSIZE above
 * LAUNCH_MESSAGE_MAX, -E2BIG above LAUNCH_FDS_MAX. */
int wire_send(int sock, json_t *message, const int *fds, size_t n_fds);

/* Like wire_send(), and takes the reference of message. */
int wire_send_new(int sock, json_t *message);

/* Receives one message into *ret (a JSON object with a string "type"; caller's reference) and its descriptors
 * (close-on-exec, now the caller's) into fds, which has room for LAUNCH_FDS_MAX. Returns 1, or 0 at the peer's end of
 * the connection, or a negative errno: -EBADMSG for what is no such object or was cut off, -EAGAIN. On failure no
 * descriptor is left open. Where this process may have no more descriptors, the message comes without any of its own. */
int wire_recv(int sock, json_t **ret, int *fds, size_t *ret_n_fds);

const char *wire_type(const json_t *message);

/* Whether the message names descriptors, and came without any. */
bool wire_fds_lost(const json_t *message, size_t n_fds);

/* Connects to the launch socket and says nothing yet. path as for wire_connect(); socket_flags SOCK_NONBLOCK or 0.
 * Returns the descriptor, close-on-exec; -EAGAIN when it does not block and the daemon's backlog is full. */
int wire_open(const char *path, int socket_flags);

/* Connects to the launch socket and says a first hello. path NULL: $MCP_LAUNCH_SOCKET or LAUNCH_SOCKET_PATH. Returns
 * the descriptor, close-on-exec, blocking. */
int wire_connect(const char *path);
