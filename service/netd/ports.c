/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports: a TAP each, guarded before it is in the bridge. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "netd/networks.h"
#include "netd/tap.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/log.h"

#define NAME_TRIES 1000U /* foreign interfaces with names like ours */

static void close_all(int *fds, size_t n) {
        for (size_t i = 0; i < n; i++)
                fds[i] = close_fd(fds[i]);
}

int port_attach(struct networks *n, const struct port *p) {
        const struct bridge *b = net_bridge(&n->net, p->bridge);
        char alias[ALIAS_SIZE];

        if (!b || b->ifindex == 0 || p->ifindex == 0)
                return -ENODEV;
        if (n->cut)
                return -EAGAIN;
        tap_alias_format(alias, p->uuid);
        return kernel_attach(&n->kernel, &(struct attachment){
                                                 .ifindex = p->ifindex,
                                                 .bridge = b->ifindex,
                                                 .group = port_group(p),
                                                 .isolated = p->isolated,
                                                 .alias = alias,
                                                 .mac = p->mac,
                                         });
}

size_t ports_attach(struct networks *n, const struct bridge *b) {
        size_t attached = 0;

        for (size_t i = 0; i < n->net.n_ports; i++) {
                const struct port *p = &n->net.ports[i];
                int r;

                if (strcmp(p->bridge, b->name) != 0 || !p->identified || p->ifindex == 0)
                        continue;
                r = port_attach(n, p);
                if (r < 0)
                        log_error(
                                "%s of VM %s does not come back into %s: %s", p->name, p->uuid, b->name, strerror(-r));
                else
                        attached++;
        }
        return attached;
}

/* A TAP with the next free name. */
static int open_tap(struct networks *n, struct port *p, size_t queues, int *fds) {
        int r = -EBUSY;

        for (unsigned i = 0; r == -EBUSY && i < NAME_TRIES; i++) {
                tap_name_format(p->name, net_next_number(&n->net));
                r = tap_open(p->name, queues, fds);
        }
        if (r < 0)
                return r;
        p->ifindex = if_nametoindex(p->name);
        if (p->ifindex == 0) {
                r = -errno;
                close_all(fds, queues);
        }
        return r;
}

static void fill(struct port *p, const struct netd_port *request, const struct bridge *b) {
        memcpy(p->bridge, b->name, sizeof p->bridge);
        memcpy(p->mac, request->mac, sizeof p->mac);
        p->address = ipv4_load(request->address);
        p->managed = b->managed;
        p->isolated = b->isolated;
        p->identified = true;
}

static void answer(struct netd_reply *reply, const struct port *p) {
        memcpy(reply->interface, p->name, sizeof reply->interface);
        memcpy(reply->uuid, p->uuid, sizeof reply->uuid);
}

/* The guard, then the bridge: a port whose guard cannot be put up never sees it. */
static int guard_and_attach(struct networks *n, const struct port *p, struct netd_reply *reply) {
        int r;

        if (n->cut)
                networks_guard_check(n);
        if (n->cut || guard_port(&n->guard, p) < 0)
                return refuse(reply, NETD_GUARD, "%s: no rules: %s", p->name, n->guard.error);
        CRASH_POINT(TAP_GUARDED);
        r = port_attach(n, p);
        CRASH_POINT(TAP_ATTACHED);
        if (r == -EXFULL)
                return refuse(reply, NETD_LIMIT, "%s takes no more ports", p->bridge);
        if (r == -ENODEV || r == -EINVAL) /* the latter is the kernel's word for a master that has just gone */
                return refuse(reply, NETD_NOT_FOUND, "%s is not there at the moment", p->bridge);
        if (r < 0)
                return refuse(reply, NETD_KERNEL, "%s into %s: %s", p->name, p->bridge, strerror(-r));
        return NETD_OK;
}

int port_add(struct networks *n, const struct netd_port *request, struct netd_reply *reply, int *fds) {
        struct port *p;
        int r;

        if (check_port(&n->net, request, false, reply) != NETD_OK)
                return (int) reply->error;
        p = net_port_add(&n->net, request->uuid);
        if (!p)
                return refuse(reply, NETD_LIMIT, "no memory for another port");
        fill(p, request, net_bridge(&n->net, request->bridge));
        r = open_tap(n, p, request->queues, fds);
        if (r < 0) {
                net_port_remove(&n->net, p);
                return refuse(reply, NETD_KERNEL, "cannot make a TAP: %s", strerror(-r));
        }
        CRASH_POINT(TAP_MADE);
        if (guard_and_attach(n, p, reply) != NETD_OK) {
                close_all(fds, request->queues);
                (void) guard_ports_remove(&n->guard, p, 1);
                net_port_remove(&n->net, p);
                return (int) reply->error;
        }
        p->named = true;
        answer(reply, p);
        reply->n_fds = request->queues;
        return NETD_OK;
}

int port_keep(struct networks *n, const struct netd_port *request, struct netd_reply *reply) {
        struct port *p, before;

        if (check_port(&n->net, request, true, reply) != NETD_OK)
                return (int) reply->error;
        p = net_port(&n->net, request->uuid);
        before = *p;
        fill(p, request, net_bridge(&n->net, request->bridge));
        /* An identity from before would let it send as two. */
        if (before.identified && (before.address != p->address || memcmp(before.mac, p->mac, sizeof p->mac) != 0))
                (void) guard_ports_remove(&n->guard, &before, 1);
        if (guard_and_attach(n, p, reply) != NETD_OK)
                return (int) reply->error;
        p->named = true;
        answer(reply, p);
        return NETD_OK;
}

int port_remove(struct networks *n, const struct netd_port *request, struct netd_reply *reply) {
        struct port *p;
        int r;

        if (check_uuid(request, reply) != NETD_OK)
                return (int) reply->error;
        p = net_port(&n->net, request->uuid);
        if (!p)
                return NETD_OK;
        r = p->ifindex != 0 ? kernel_link_remove(&n->kernel, p->ifindex) : 0;
        if (r < 0 && r != -ENODEV)
                return refuse(reply, NETD_KERNEL, "%s: %s", p->name, strerror(-r));
        answer(reply, p);
        if (guard_ports_remove(&n->guard, p, 1) < 0)
                log_warning("%s: its rule stays for now: %s", p->name, n->guard.error);
        net_port_remove(&n->net, p);
        return NETD_OK;
}

int port_traffic(struct networks *n, const struct netd_port *request, struct netd_reply *reply) {
        struct port *p;
        int r;

        if (check_uuid(request, reply) != NETD_OK)
                return (int) reply->error;
        memcpy(reply->uuid, request->uuid, sizeof reply->uuid);
        p = net_port(&n->net, request->uuid);
        if (!p || p->ifindex == 0)
                return refuse(reply, NETD_NOT_FOUND, "VM %s has no TAP", request->uuid);
        answer(reply, p);
        /* What the kernel takes from a TAP is what the guest has sent. */
        r = kernel_link_traffic(&n->kernel, p->ifindex, &reply->traffic.sent, &reply->traffic.received);
        return r < 0 ? refuse(reply, NETD_KERNEL, "%s: %s", p->name, strerror(-r)) : NETD_OK;
}
