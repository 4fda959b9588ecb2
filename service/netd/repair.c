/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What another hand has changed: the kernel's messages make a bridge or port suspicious, a look at the kernel tells
 * what is wrong, and it is put right. Once a second at most: whoever does it again and again does not keep us busy. */
#include <errno.h>
#include <linux/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "netd/networks.h"
#include "netd/tap.h"
#include "shared/fd.h"
#include "shared/log.h"

#define REPAIR_USEC 1000000ULL

static void suspect_bridge(struct networks *n, struct bridge *b) {
        b->suspicious = n->suspicious = true;
}

/* ---- what the kernel tells ---------------------------------------------------------------------- */

static void bridge_gone(struct networks *n, struct bridge *b) {
        b->ifindex = 0;
        b->up = false;
        if (!b->wanted) {
                net_bridge_remove(&n->net, b);
                return;
        }
        networks_tell_bridge(n, b, b->managed ? "" : "the host's bridge has gone");
        if (b->managed)
                suspect_bridge(n, b);
}

/* Who holds a TAP's descriptor may change its MAC, and the bridge would send it what is for that MAC: another VM's. */
static bool port_is_forged(const struct port *p, const struct link *link) {
        uint8_t mac[6];

        tap_mac(mac, p->mac);
        return p->identified && link->master != 0 && memcmp(mac, link->mac, sizeof mac) != 0;
}

static void remove_forged(struct networks *n, struct port *p) {
        const struct bridge *b = net_bridge(&n->net, p->bridge);

        log_error("%s: VM %s has changed the MAC of its TAP; it is cut off", p->name, p->uuid);
        (void) kernel_link_remove(&n->kernel, p->ifindex);
        p->ifindex = 0; /* networks_settle() does the rest */
        if (b)
                (void) ports_attach(n, b); /* whose forwarding entry it may have taken */
}

/* True as well for what a message says of a port on its way into its bridge. */
static bool port_is_displaced(struct networks *n, const struct port *p, const struct link *link) {
        const struct bridge *b = net_bridge(&n->net, p->bridge);

        return p->identified && b && b->wanted && b->ifindex != 0 &&
               (link->master != b->ifindex || link->group != port_group(p));
}

static void port_link(struct networks *n, struct port *p, const struct link *link) {
        if (port_is_forged(p, link))
                remove_forged(n, p);
        else if (port_is_displaced(n, p, link))
                p->suspicious = n->suspicious = true;
}

/* Managed, of that name or once of that name. */
static void managed_link(struct networks *n, struct bridge *b, const struct link *link) {
        uint8_t mac[6];

        bridge_mac(mac, b->name);
        if (b->ifindex == link->ifindex &&
                (strcmp(b->name, link->name) != 0 || !link_is_ours(link) || memcmp(mac, link->mac, sizeof mac) != 0))
                suspect_bridge(n, b);
}

void networks_link(struct networks *n, const struct link *link) {
        struct port *p = net_port_by_index(&n->net, link->ifindex);
        struct bridge *b = net_bridge_by_index(&n->net, link->ifindex);
        bool up = (link->flags & IFF_UP) != 0;
        bool came;

        if (p)
                port_link(n, p, link);
        if (b && b->managed && b->wanted)
                managed_link(n, b, link);
        b = net_bridge(&n->net, link->name);
        if (!b || strcmp(link->kind, "bridge") != 0 || (b->managed && !link_is_ours(link)))
                return;
        came = b->ifindex != link->ifindex && b->wanted && !b->managed;
        if (b->ifindex == link->ifindex && b->up == up)
                return;
        b->ifindex = link->ifindex;
        b->up = up;
        networks_tell_bridge(n, b, came ? "the host's bridge is there" : "");
        if (came)
                (void) ports_attach(n, b);
}

void networks_link_gone(struct networks *n, const struct link *link) {
        struct bridge *b = net_bridge_by_index(&n->net, link->ifindex);
        struct port *p = net_port_by_index(&n->net, link->ifindex);

        if (b)
                bridge_gone(n, b);
        else if (p)
                p->ifindex = 0; /* networks_settle() does the rest, for many at once */
}

void networks_address_gone(struct networks *n, const struct address *address) {
        struct bridge *b = net_bridge_by_index(&n->net, address->ifindex);

        if (b && b->managed && b->wanted && bridge_has_address(b, address))
                suspect_bridge(n, b);
}

void networks_suspect_all(struct networks *n) {
        for (size_t i = 0; i < n->net.n_bridges; i++)
                if (n->net.bridges[i].managed && n->net.bridges[i].wanted)
                        suspect_bridge(n, &n->net.bridges[i]);
        for (size_t i = 0; i < n->net.n_ports; i++)
                n->net.ports[i].suspicious = n->suspicious = true;
}

/* ---- putting right ------------------------------------------------------------------------------ */

struct sought {
        const struct bridge *bridge;
        bool found;
};

static void seek_address(const struct address *a, void *userdata) {
        struct sought *s = userdata;

        s->found = s->found || bridge_has_address(s->bridge, a);
}

/* What a look at it has found. */
struct finding {
        const char *wrong; /* in words that go on with "and is back"; NULL: nothing */
        bool there, link_up;
};

static int look_at_bridge(struct networks *n, const struct bridge *b, struct finding *ret) {
        struct sought gateway = {.bridge = b};
        struct link link;
        uint8_t mac[6];
        int r;

        r = kernel_link(&n->kernel, b->name, &link);
        if (r == -ENODEV) {
                *ret = (struct finding){.wrong = b->ifindex == 0 ? "it was deleted" : "it was renamed"};
                return 0;
        }
        if (r < 0)
                return r;
        if (link.ifindex != b->ifindex)
                return -EEXIST; /* somebody's interface has taken its name */
        r = kernel_addresses(&n->kernel, seek_address, &gateway);
        if (r < 0)
                return r;
        bridge_mac(mac, b->name);
        *ret = (struct finding){.there = true, .link_up = (link.flags & IFF_UP) != 0};
        if (!gateway.found)
                ret->wrong = "its gateway's address was removed";
        else if (memcmp(mac, link.mac, sizeof mac) != 0)
                ret->wrong = "its MAC was changed";
        else if (!link_is_ours(&link))
                ret->wrong = "its alias was changed";
        return 0;
}

__attribute__((format(printf, 3, 4))) static void tell_repair(
        struct networks *n, const struct bridge *b, const char *format, ...) {
        char text[NETD_TEXT_SIZE];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        networks_tell_bridge(n, b, text);
}

/* Whether its interface is up is the administrator's: one that was deleted comes back up, else it stays as it is. */
static int put_back(struct networks *n, struct bridge *b, struct finding *f) {
        int r = 0;

        if (b->up) {
                b->up = false;
                networks_tell_bridge(n, b, "");
        }
        if (!f->there && b->ifindex != 0)
                r = kernel_link_remove(&n->kernel, b->ifindex);
        if (r == -ENODEV) { /* the message that it has gone is still to come */
                f->wrong = "it was deleted";
                r = 0;
        }
        if (!f->there && r >= 0)
                return bridge_make(n, b, false);
        if (r >= 0)
                r = kernel_bridge_repair(&n->kernel, b->ifindex, b->name);
        if (r >= 0)
                r = bridge_set_address(n, b);
        b->up = r >= 0 && f->link_up;
        return r;
}

/* A failure is told once, and tried again. True: there was something to do. */
static bool repair_bridge(struct networks *n, struct bridge *b) {
        struct finding f = {};
        int r;

        b->suspicious = false;
        r = look_at_bridge(n, b, &f);
        if (r >= 0 && !f.wrong)
                return false;
        if (r >= 0)
                r = put_back(n, b, &f);
        if (r < 0) {
                suspect_bridge(n, b);
                if (!b->failed)
                        tell_repair(n, b, "%s and cannot be put back yet: %s", f.wrong ?: "it has gone", strerror(-r));
        } else if (f.there)
                tell_repair(n, b, "%s and is back", f.wrong);
        else
                tell_repair(n, b, "%s and is back, with %zu VMs", f.wrong, ports_attach(n, b));
        b->failed = r < 0;
        return true;
}

static bool repair_port(struct networks *n, struct port *p) {
        struct bridge *b = net_bridge(&n->net, p->bridge);
        struct link link;
        int r;

        p->suspicious = false;
        if (p->ifindex == 0 || kernel_link(&n->kernel, p->name, &link) < 0 || link.ifindex != p->ifindex ||
                !port_is_displaced(n, p, &link))
                return false;
        r = port_attach(n, p);
        if (r < 0) {
                p->suspicious = n->suspicious = true;
                if (r == -ENODEV || r == -EINVAL)
                        return false; /* one of both has just gone; its own message tells */
                if (!p->failed)
                        log_error("%s of VM %s was moved and does not come back into %s yet: %s", p->name, p->uuid,
                                p->bridge, strerror(-r));
        } else
                tell_repair(n, b, "%s of VM %s was taken out of it or out of its group and is back", p->name, p->uuid);
        p->failed = r < 0;
        return true;
}

void networks_repair(struct networks *n) {
        uint64_t now = now_monotonic();
        bool repaired = false;

        if (!n->suspicious || (n->repaired_at != 0 && now < n->repaired_at + REPAIR_USEC))
                return;
        n->suspicious = false;
        for (size_t i = 0; i < n->net.n_bridges; i++)
                if (n->net.bridges[i].suspicious && repair_bridge(n, &n->net.bridges[i]))
                        repaired = true;
        for (size_t i = 0; i < n->net.n_ports; i++)
                if (n->net.ports[i].suspicious && repair_port(n, &n->net.ports[i]))
                        repaired = true;
        if (repaired)
                n->repaired_at = now;
}

/* ---- the guard ---------------------------------------------------------------------------------- */

static void tell_guard(struct networks *n, bool bad, const char *text) {
        struct netd_reply event = {.version = NETD_WIRE_VERSION, .verb = NETD_EVENT_GUARD};

        text_copy(event.text, sizeof event.text, text);
        if (bad)
                log_error("%s", event.text);
        else
                log_notice("%s", event.text);
        if (n->event)
                n->event(&event, n->userdata);
}

/* No guard, no frames. */
static void cut_ports(struct networks *n) {
        char text[NETD_TEXT_SIZE];

        for (size_t i = 0; i < n->net.n_ports; i++)
                if (n->net.ports[i].ifindex != 0)
                        (void) kernel_link_down(&n->kernel, n->net.ports[i].ifindex);
        if (!n->cut) {
                (void) snprintf(text, sizeof text,
                        "our nftables tables were changed and cannot be put back yet; %zu VMs are cut off: %.150s",
                        n->net.n_ports, n->guard.error);
                tell_guard(n, true, text);
        }
        n->cut = true;
}

static size_t reconnect_ports(struct networks *n) {
        size_t attached = 0;

        n->cut = false;
        for (size_t i = 0; i < n->net.n_bridges; i++)
                attached += ports_attach(n, &n->net.bridges[i]);
        return attached;
}

void networks_guard_check(struct networks *n) {
        char text[NETD_TEXT_SIZE];

        if (!n->cut && guard_is_whole(&n->guard, &n->net))
                return;
        if (guard_replace(&n->guard, &n->net) < 0) {
                cut_ports(n);
                return;
        }
        if (n->cut)
                (void) snprintf(
                        text, sizeof text, "our nftables tables are back, and so are %zu VMs", reconnect_ports(n));
        else
                (void) snprintf(text, sizeof text, "our nftables tables were changed or deleted and are back");
        tell_guard(n, false, text);
}
