/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The picture and the kernel brought together: at start, after lost events, at the daemon's SWEEP. */
#include <errno.h>
#include <linux/if.h>
#include <stdlib.h>
#include <string.h>

#include "netd/networks.h"
#include "shared/crash-point.h"
#include "shared/log.h"

/* ---- at start ----------------------------------------------------------------------------------- */

static void find_ours(const struct link *link, void *userdata) {
        struct networks *n = userdata;
        const char *uuid = tap_alias_uuid(link->alias);
        uint32_t number = tap_name_number(link->name);
        struct bridge *b;
        struct port *p;

        net_saw_number(&n->net, number);
        if (strcmp(link->kind, "bridge") == 0 && strcmp(link->alias, BRIDGE_ALIAS) == 0) {
                b = net_bridge_add(&n->net, link->name);
                if (!b)
                        return;
                b->ifindex = link->ifindex;
                b->up = (link->flags & IFF_UP) != 0;
                b->managed = true;
        } else if (uuid && number != 0 && strcmp(link->kind, "tun") == 0 && !net_port(&n->net, uuid)) {
                p = net_port_add(&n->net, uuid);
                if (!p)
                        return;
                memcpy(p->name, link->name, sizeof p->name);
                p->ifindex = link->ifindex;
                p->master = link->master;
                p->managed = (link->group & PORT_GROUP_JOINED) == 0;
                p->isolated = (link->group & PORT_GROUP_OPEN) == 0;
        }
}

static void find_bridge_of_ports(const struct link *link, void *userdata) {
        struct networks *n = userdata;

        for (size_t i = 0; i < n->net.n_ports; i++)
                if (n->net.ports[i].master == link->ifindex)
                        memcpy(n->net.ports[i].bridge, link->name, sizeof link->name);
}

static void take_identity(const char *interface, const uint8_t mac[static 6], uint32_t address, void *userdata) {
        struct networks *n = userdata;

        for (size_t i = 0; i < n->net.n_ports; i++) {
                struct port *p = &n->net.ports[i];

                if (strcmp(p->name, interface) != 0)
                        continue;
                memcpy(p->mac, mac, sizeof p->mac);
                p->address = address;
                p->identified = true;
        }
}

int networks_start(struct networks *n) {
        int r;

        r = kernel_open(&n->kernel);
        if (r >= 0)
                r = guard_open(&n->guard);
        if (r >= 0)
                r = kernel_links(&n->kernel, find_ours, n);
        if (r >= 0 && n->net.n_ports > 0)
                r = kernel_links(&n->kernel, find_bridge_of_ports, n);
        if (r < 0) {
                log_error("cannot look at the host's interfaces: %s", strerror(-r));
                return r;
        }
        if (guard_identities(&n->guard, take_identity, n) < 0 && n->net.n_ports > 0)
                log_warning("%zu TAPs of ours have no rules: they are cut off until the daemon comes", n->net.n_ports);
        /* Without them nothing is handed out, and each refusal says why; who has a TAP already is cut off. */
        if (guard_prepare(&n->guard, &n->net) < 0) {
                log_error("cannot make our nftables tables: %s", n->guard.error);
                networks_guard_check(n);
        }
        return 0;
}

void networks_stop(struct networks *n) {
        guard_close(&n->guard);
        kernel_close(&n->kernel);
        net_free(&n->net);
}

/* ---- while it runs ------------------------------------------------------------------------------ */

static void tell_port_gone(struct networks *n, const struct port *p) {
        struct netd_reply event = {.version = NETD_WIRE_VERSION, .verb = NETD_EVENT_PORT_GONE};

        memcpy(event.interface, p->name, sizeof event.interface);
        memcpy(event.uuid, p->uuid, sizeof event.uuid);
        if (n->event)
                n->event(&event, n->userdata);
}

/* Moves the ports that have gone to the end of the list; returns how many. */
static size_t gather_gone(struct net *n) {
        size_t gone = 0;

        for (size_t i = 0; i < n->n_ports - gone;) {
                struct port p = n->ports[i];

                if (p.ifindex != 0) {
                        i++;
                        continue;
                }
                gone++;
                n->ports[i] = n->ports[n->n_ports - gone];
                n->ports[n->n_ports - gone] = p;
        }
        return gone;
}

void networks_settle(struct networks *n) {
        size_t gone = gather_gone(&n->net);
        struct port *ports;

        if (gone == 0)
                return;
        ports = n->net.ports + n->net.n_ports - gone;
        CRASH_POINT(TAP_REMOVED);
        if (guard_ports_remove(&n->guard, ports, gone) < 0)
                log_warning("rules of %zu ports that have gone stay for now: %s", gone, n->guard.error);
        n->net.n_ports -= gone;
        for (size_t i = 0; i < gone; i++)
                tell_port_gone(n, &ports[i]);
}

struct seen {
        unsigned *indexes;
        size_t n, allocated;
        struct networks *networks;
};

static void see(const struct link *link, void *userdata) {
        struct seen *s = userdata;

        if (s->n == s->allocated) {
                size_t more = s->allocated * 2 + 64;
                unsigned *indexes = reallocarray(s->indexes, more, sizeof *indexes);

                if (!indexes)
                        return;
                s->indexes = indexes;
                s->allocated = more;
        }
        s->indexes[s->n++] = link->ifindex;
        networks_link(s->networks, link);
}

static bool was_seen(const struct seen *s, unsigned ifindex) {
        for (size_t i = 0; i < s->n; i++)
                if (s->indexes[i] == ifindex)
                        return true;
        return false;
}

void networks_look_again(struct networks *n) {
        struct seen seen = {.networks = n};
        int r;

        r = kernel_links(&n->kernel, see, &seen);
        if (r < 0)
                log_error("cannot look at the host's interfaces: %s", strerror(-r));
        for (size_t i = 0; r >= 0 && i < n->net.n_ports; i++)
                if (!was_seen(&seen, n->net.ports[i].ifindex))
                        n->net.ports[i].ifindex = 0;
        for (size_t i = 0; r >= 0 && i < n->net.n_bridges; i++) {
                const struct link gone = {.ifindex = n->net.bridges[i].ifindex};

                if (gone.ifindex != 0 && !was_seen(&seen, gone.ifindex))
                        networks_link_gone(n, &gone);
        }
        free(seen.indexes);
        networks_suspect_all(n);
        networks_settle(n);
}

/* ---- SWEEP -------------------------------------------------------------------------------------- */

/* What the kernel has of ours that was not named, also where the picture does not have it. */
struct sweep {
        struct networks *n;
        unsigned taps[NETD_PORTS_MAX], bridges[NETD_BRIDGES_MAX];
        size_t n_taps, n_bridges;
        bool group_taken; /* by an interface that is not ours */
};

static void find_swept(const struct link *link, void *userdata) {
        struct sweep *s = userdata;
        bool tap = strcmp(link->kind, "tun") == 0 && tap_alias_uuid(link->alias) && tap_name_number(link->name) != 0;

        if (tap) {
                const struct port *p = net_port_by_index(&s->n->net, link->ifindex);

                if ((!p || !p->named) && s->n_taps < NETD_PORTS_MAX)
                        s->taps[s->n_taps++] = link->ifindex;
        } else if (strcmp(link->kind, "bridge") == 0 && strcmp(link->alias, BRIDGE_ALIAS) == 0) {
                const struct bridge *b = net_bridge_by_index(&s->n->net, link->ifindex);

                if ((!b || !b->named) && s->n_bridges < NETD_BRIDGES_MAX)
                        s->bridges[s->n_bridges++] = link->ifindex;
        }
        if (!tap && link->group == DOOMED_GROUP)
                s->group_taken = true;
}

static int remove_swept(struct sweep *s) {
        struct kernel *k = &s->n->kernel;
        int r = 0;

        if (!s->group_taken)
                r = kernel_links_remove(k, s->taps, s->n_taps, DOOMED_GROUP);
        for (size_t i = 0; s->group_taken && i < s->n_taps; i++)
                if (r >= 0 || r == -ENODEV)
                        r = kernel_link_remove(k, s->taps[i]);
        for (size_t i = 0; i < s->n_bridges; i++)
                if (r >= 0 || r == -ENODEV)
                        r = kernel_link_remove(k, s->bridges[i]);
        return r == -ENODEV ? 0 : r;
}

static void forget_swept(struct net *n) {
        for (size_t i = n->n_ports; i > 0; i--)
                if (!n->ports[i - 1].named)
                        net_port_remove(n, &n->ports[i - 1]);
        for (size_t i = n->n_bridges; i > 0; i--)
                if (!n->bridges[i - 1].named)
                        net_bridge_remove(n, &n->bridges[i - 1]);
}

int networks_sweep(struct networks *n, struct netd_reply *reply) {
        struct sweep *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return refuse(reply, NETD_LIMIT, "no memory to look at all interfaces");
        s->n = n;
        r = kernel_links(&n->kernel, find_swept, s);
        if (r >= 0)
                r = remove_swept(s);
        if (r < 0)
                (void) refuse(reply, NETD_KERNEL, "cannot remove interfaces: %s", strerror(-r));
        else {
                forget_swept(&n->net);
                reply->n_ports = (uint32_t) s->n_taps;
                reply->n_bridges = (uint32_t) s->n_bridges;
                if (guard_replace(&n->guard, &n->net) < 0)
                        (void) refuse(reply, NETD_GUARD, "cannot put the rules up anew: %s", n->guard.error);
        }
        free(s);
        return (int) reply->error;
}

int networks_status(struct networks *n, struct netd_reply *reply) {
        if (guard_counters(&n->guard, &reply->counters) < 0)
                return refuse(reply, NETD_GUARD, "cannot read the counters: %s", n->guard.error);
        reply->n_bridges = (uint32_t) n->net.n_bridges;
        reply->n_ports = (uint32_t) n->net.n_ports;
        return NETD_OK;
}
