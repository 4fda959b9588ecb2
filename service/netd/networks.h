/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "netd/check.h"
#include "netd/guard.h"
#include "netd/kernel.h"

/* What netd does: the picture, the kernel's links and the guard kept together. bridges.c, ports.c, reconcile.c,
 * repair.c. */

typedef void (*NetworksEvent)(const struct netd_reply *event, void *userdata);

struct networks {
        struct net net;
        struct kernel kernel;
        struct guard guard;
        NetworksEvent event; /* may be NULL */
        void *userdata;
        bool suspicious;      /* a bridge or port, or several */
        uint64_t repaired_at; /* the last time that there was something to do, monotonic */
        bool cut;             /* the guard cannot be put up, so the ports are down */
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
int port_traffic(struct networks *n, const struct netd_port *request, struct netd_reply *reply);
int networks_sweep(struct networks *n, struct netd_reply *reply);
int networks_status(struct networks *n, struct netd_reply *reply);

/* ---- Bridges and ports for each other ---- */

bool link_is_ours(const struct link *link);
/* a is its gateway's. */
bool bridge_has_address(const struct bridge *b, const struct address *a);
/* The interface of a managed bridge with its address, up; made if it does not exist. */
int bridge_make(struct networks *n, struct bridge *b, bool exists);
/* Its gateway's address, and no other. */
int bridge_set_address(struct networks *n, const struct bridge *b);
void networks_tell_bridge(struct networks *n, const struct bridge *b, const char *text);

/* Into its bridge, with everything of a port: -ENODEV when either is not there, -EAGAIN while the guard is not up. */
int port_attach(struct networks *n, const struct port *p);
/* All ports of a bridge that was made or came back; logs failures. Returns how many are attached. */
size_t ports_attach(struct networks *n, const struct bridge *b);

/* ---- What the kernel told ---- */

/* A link is new or has changed; has gone. */
void networks_link(struct networks *n, const struct link *link);
void networks_link_gone(struct networks *n, const struct link *link);
void networks_address_gone(struct networks *n, const struct address *address);
/* After a number of those: takes away the rules of ports that have gone. */
void networks_settle(struct networks *n);
/* And then: puts right what another hand has changed. What it could not is tried again with the next call. */
void networks_repair(struct networks *n);
/* Everything may be wrong. */
void networks_suspect_all(struct networks *n);
/* Events were lost: looks at all links anew. */
void networks_look_again(struct networks *n);
/* Somebody has changed a table of ours, perhaps, or it could not be put back: puts all rules up again, or cuts the VMs
 * off. */
void networks_guard_check(struct networks *n);
