/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bridges: made, joined, put back, removed. */
#include <errno.h>
#include <linux/if.h>
#include <string.h>

#include "netd/networks.h"
#include "shared/crash-point.h"
#include "shared/log.h"

static int refuse_kernel(struct netd_reply *reply, const char *what, int r) {
        return refuse(reply, NETD_KERNEL, "%s: %s", what, strerror(-r));
}

void networks_tell_bridge(struct networks *n, const struct bridge *b, const char *text) {
        struct netd_reply event = {.version = NETD_WIRE_VERSION, .verb = NETD_EVENT_BRIDGE, .up = b->up};

        text_copy(event.interface, sizeof event.interface, b->name);
        text_copy(event.text, sizeof event.text, text);
        if (*text)
                log_notice("%s: %s", b->name, text);
        if (n->event)
                n->event(&event, n->userdata);
}

bool link_is_ours(const struct link *link) {
        return strcmp(link->kind, "bridge") == 0 && strcmp(link->alias, BRIDGE_ALIAS) == 0;
}

/* The gateway's subnet may not be that of another interface of the host: its owner would lose packets to us. */
struct overlap {
        const struct netd_bridge *bridge;
        unsigned ifindex, found; /* of the bridge itself, or 0; of the other */
};

static void find_overlap(const struct address *a, void *userdata) {
        struct overlap *o = userdata;

        if (a->ifindex != o->ifindex && a->address >> 24 != 127 &&
                subnets_overlap(a->address, a->prefix, ipv4_load(o->bridge->gateway), o->bridge->prefix))
                o->found = a->ifindex;
}

static int check_host_subnets(
        struct networks *n, const struct netd_bridge *b, unsigned ifindex, struct netd_reply *reply) {
        struct overlap o = {.bridge = b, .ifindex = ifindex};
        int r;

        r = kernel_addresses(&n->kernel, find_overlap, &o);
        if (r < 0)
                return refuse_kernel(reply, "cannot read the host's addresses", r);
        if (o.found != 0)
                return refuse(
                        reply, NETD_IN_USE, "subnet: overlaps with an address of the host's interface %u", o.found);
        return NETD_OK;
}

bool bridge_has_address(const struct bridge *b, const struct address *a) {
        return a->ifindex == b->ifindex && a->address == b->gateway && a->prefix == b->prefix;
}

/* Addresses that a bridge of ours has from before and that are not wanted now. */
struct stale {
        struct networks *n;
        const struct bridge *bridge;
};

static void remove_stale(const struct address *a, void *userdata) {
        struct stale *s = userdata;

        if (a->ifindex == s->bridge->ifindex && !bridge_has_address(s->bridge, a))
                (void) kernel_address_remove(&s->n->kernel, a->ifindex, a->address, a->prefix);
}

int bridge_set_address(struct networks *n, const struct bridge *b) {
        struct stale s = {n, b};
        int r;

        r = kernel_address_add(&n->kernel, b->ifindex, b->gateway, b->prefix);
        return r < 0 ? r : kernel_addresses(&n->kernel, remove_stale, &s);
}

int bridge_make(struct networks *n, struct bridge *b, bool exists) {
        struct link link;
        int r;

        if (!exists) {
                r = kernel_bridge_add(&n->kernel, b->name);
                if (r < 0)
                        return r;
        }
        r = kernel_link(&n->kernel, b->name, &link);
        if (r < 0)
                return r;
        if (!link_is_ours(&link))
                return -EEXIST;
        b->ifindex = link.ifindex;
        CRASH_POINT(BRIDGE_MADE);
        r = exists ? kernel_bridge_repair(&n->kernel, b->ifindex, b->name) : 0;
        if (r >= 0)
                r = bridge_set_address(n, b);
        if (r >= 0)
                r = kernel_link_up(&n->kernel, b->ifindex);
        b->up = r >= 0;
        return r;
}

static void fill(struct bridge *b, const struct netd_bridge *request) {
        b->managed = request->managed != 0;
        b->isolated = request->isolated != 0;
        b->gateway = ipv4_load(request->gateway);
        b->prefix = request->prefix;
        b->n_services = request->n_services;
        memcpy(b->services, request->services, sizeof b->services);
}

/* Ports that were there before netd learn what their bridge is. */
static void tell_ports(struct networks *n, const struct bridge *b) {
        for (size_t i = 0; i < n->net.n_ports; i++)
                if (strcmp(n->net.ports[i].bridge, b->name) == 0) {
                        n->net.ports[i].managed = b->managed;
                        n->net.ports[i].isolated = b->isolated;
                }
}

/* exists, *link: what is there of that name. */
static int check_interface(struct networks *n, const struct netd_bridge *request, bool exists, const struct link *link,
        struct netd_reply *reply) {
        if (!request->managed) {
                if (!exists)
                        return refuse(reply, NETD_NOT_FOUND, "%s: the host has no such bridge", request->name);
                if (strcmp(link->kind, "bridge") != 0)
                        return refuse(
                                reply, NETD_FOREIGN, "%s: the interface of that name is no bridge", request->name);
                if (link_is_ours(link))
                        return refuse(
                                reply, NETD_FOREIGN, "%s: it is a bridge of ours, not of the host", request->name);
                return NETD_OK;
        }
        if (exists && !link_is_ours(link))
                return refuse(reply, NETD_FOREIGN, "%s: an interface of that name exists (%s) and is not ours",
                        request->name, *link->kind ? link->kind : "hardware");
        return check_host_subnets(n, request, exists ? link->ifindex : 0, reply);
}

/* Takes back what a failed first BRIDGE_UP has done. */
static void undo(struct networks *n, struct bridge *b, bool made) {
        if (made && b->ifindex != 0)
                (void) kernel_link_remove(&n->kernel, b->ifindex);
        if (b->managed)
                (void) guard_bridge_remove(&n->guard, b->name);
        net_bridge_remove(&n->net, b);
}

int bridge_up(struct networks *n, const struct netd_bridge *request, struct netd_reply *reply) {
        struct bridge *b, before;
        struct link link = {};
        bool exists, known;
        int r;

        if (check_bridge(&n->net, request, reply) != NETD_OK)
                return (int) reply->error;
        r = kernel_link(&n->kernel, request->name, &link);
        if (r < 0 && r != -ENODEV)
                return refuse_kernel(reply, request->name, r);
        exists = r >= 0;
        if (check_interface(n, request, exists, &link, reply) != NETD_OK)
                return (int) reply->error;

        b = net_bridge(&n->net, request->name);
        known = b != NULL;
        if (!b)
                b = net_bridge_add(&n->net, request->name);
        before = *b;
        fill(b, request);
        b->ifindex = link.ifindex;
        b->up = (link.flags & IFF_UP) != 0;

        /* The rules first: there is no moment in which the bridge is open. */
        r = guard_bridge(&n->guard, b);
        if (r < 0 && guard_prepare(&n->guard, &n->net) >= 0)
                r = guard_bridge(&n->guard, b);
        if (r < 0) {
                (void) refuse(reply, NETD_GUARD, "%s: no rules: %s", b->name, n->guard.error);
                *b = before;
                if (!known)
                        net_bridge_remove(&n->net, b);
                return (int) reply->error;
        }
        CRASH_POINT(BRIDGE_GUARDED);
        r = b->managed ? bridge_make(n, b, exists) : 0;
        CRASH_POINT(BRIDGE_UP);
        if (r < 0) {
                (void) refuse_kernel(reply, request->name, r);
                if (known)
                        *b = before;
                else
                        undo(n, b, !exists);
                return (int) reply->error;
        }
        b->wanted = b->named = true;
        tell_ports(n, b);
        reply->up = b->up;
        memcpy(reply->interface, b->name, sizeof reply->interface);
        return NETD_OK;
}

int bridge_down(struct networks *n, const struct netd_bridge *request, struct netd_reply *reply) {
        struct bridge *b;
        int r;

        if (check_bridge_name(request, reply) != NETD_OK)
                return (int) reply->error;
        b = net_bridge(&n->net, request->name);
        if (!b)
                return NETD_OK;
        if (net_ports_on(&n->net, b->name) > 0)
                return refuse(reply, NETD_BUSY, "%s: %zu VMs are on it", b->name, net_ports_on(&n->net, b->name));
        if (b->managed && b->ifindex != 0) {
                r = kernel_link_remove(&n->kernel, b->ifindex);
                if (r < 0 && r != -ENODEV)
                        return refuse_kernel(reply, b->name, r);
        }
        CRASH_POINT(BRIDGE_REMOVED);
        if (b->managed && guard_bridge_remove(&n->guard, b->name) < 0)
                log_warning("%s: its rules stay for now: %s", b->name, n->guard.error);
        net_bridge_remove(&n->net, b);
        return NETD_OK;
}
