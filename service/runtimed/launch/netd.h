/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "shared/netd-wire.h"

/* The daemon's side of mcp-netd's socket (shared/netd-wire.h). It connects when there is something to say, and again
 * when the other side went; each new connection begins with a session that its owner makes. */
typedef struct Netd Netd;

typedef struct NetdOps {
        /* A new connection, HELLO already sent: the owner names what should be, and ends with SWEEP. */
        void (*connected)(void *userdata);
        /* An event of netd (borrowed). */
        void (*event)(const struct netd_reply *event, void *userdata);
} NetdOps;

Netd *netd_new(sd_event *event, const NetdOps *ops, void *userdata);
Netd *netd_free(Netd *n);

/* reply is borrowed; NULL: the connection was lost before the answer, or never came. fds (reply->n_fds of them) become
 * the callee's where it sets them to -1; the others are closed. */
typedef void (*NetdDone)(const struct netd_reply *reply, int *fds, size_t n_fds, void *userdata);

/* Sends a request, connecting first where that is needed. done may be NULL; it is called once. drop (or NULL) frees
 * userdata instead where the answer is still due when the daemon ends. */
void netd_call(Netd *n, const struct netd_request *request, NetdDone done, GDestroyNotify drop, void *userdata);

/* Connects where there is no connection, so that the session is made. */
void netd_wake(Netd *n);
