/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "netd/check.h"
#include "netd/guard.h"
#include "netd/kernel.h"

/* What netd does: the picture, the kernel's links and the guard kept together. bridges.c, ports.c, reconcile.c. */

typedef void (*NetworksEvent)(const struct netd_reply *event, void *userdata);

struct networks {
        struct net net;
        struct kernel kernel;
        struct guard guard;
        NetworksEvent event; /* may be NULL */
        void *userdata;
};

/* Takes the picture from the kernel, and makes the tables where they are not. net.config is set before. Logs. */
int networks_start(struct networks *n);
void networks_stop(struct networks *n);

/* One request's work each; they fill the reply and return its error. */
int bridge_up(struct networks *n, const struct netd_bridge *request, struct netd_reply *reply);
int bridge_down(struct networks *n, const struct netd_bridge *request, struct netd_reply *reply);
/* fds has room for NETD_QUEUES_MAX; reply->n_fds of them are the caller's then. */
int port_add(struct networks *n, const struct netd_port *request, struct netd_reply *reply, int *fds);
int port_keep(struct networks *n, const struct netd_port *request, struct netd_reply *reply);
int port_remove(struct networks *n, const struct netd_port *request, struct netd_reply *reply);
int networks_sweep(struct networks *n, struct netd_reply *reply);
int networks_status(struct networks *n, struct netd_reply *reply);

/* Into its bridge, with everything of a port: -ENODEV when either is not there. */
int port_attach(struct networks *n, const struct port *p);
/* All ports of a bridge that was made or came back; logs failures. Returns how many are attached. */
size_t ports_attach(struct networks *n, const struct bridge *b);

/* What the kernel told: a link is new or has changed; has gone. */
void networks_link(struct networks *n, const struct link *link);
void networks_link_gone(struct networks *n, const struct link *link);
/* After a number of those: takes away the rules of ports that have gone. */
void networks_settle(struct networks *n);
/* Events were lost: looks at all links anew. */
void networks_look_again(struct networks *n);
/* A table of ours has been deleted, perhaps: puts all rules up again if so. */
void networks_guard_check(struct networks *n);

void networks_tell_bridge(struct networks *n, const struct bridge *b, const char *text);
