/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/state.h"

#include <stdlib.h>
#include <string.h>

#define PORTS_STEP 64U

void net_free(struct net *n) {
        free(n->ports);
        n->ports = NULL;
        n->n_ports = n->ports_allocated = 0;
}

struct bridge *net_bridge(struct net *n, const char *name) {
        for (size_t i = 0; i < n->n_bridges; i++)
                if (strcmp(n->bridges[i].name, name) == 0)
                        return &n->bridges[i];
        return NULL;
}

struct bridge *net_bridge_by_index(struct net *n, unsigned ifindex) {
        for (size_t i = 0; ifindex != 0 && i < n->n_bridges; i++)
                if (n->bridges[i].ifindex == ifindex)
                        return &n->bridges[i];
        return NULL;
}

struct port *net_port(struct net *n, const char *uuid) {
        for (size_t i = 0; i < n->n_ports; i++)
                if (strcmp(n->ports[i].uuid, uuid) == 0)
                        return &n->ports[i];
        return NULL;
}

struct port *net_port_by_index(struct net *n, unsigned ifindex) {
        for (size_t i = 0; ifindex != 0 && i < n->n_ports; i++)
                if (n->ports[i].ifindex == ifindex)
                        return &n->ports[i];
        return NULL;
}

size_t net_ports_on(const struct net *n, const char *bridge) {
        size_t found = 0;

        for (size_t i = 0; i < n->n_ports; i++)
                found += strcmp(n->ports[i].bridge, bridge) == 0;
        return found;
}

struct bridge *net_bridge_add(struct net *n, const char *name) {
        struct bridge *b;

        if (n->n_bridges == NETD_BRIDGES_MAX)
                return NULL;
        b = &n->bridges[n->n_bridges++];
        *b = (struct bridge){};
        text_copy(b->name, sizeof b->name, name);
        return b;
}

struct port *net_port_add(struct net *n, const char *uuid) {
        struct port *p;

        if (n->n_ports == NETD_PORTS_MAX)
                return NULL;
        if (n->n_ports == n->ports_allocated) {
                p = reallocarray(n->ports, n->ports_allocated + PORTS_STEP, sizeof *p);
                if (!p)
                        return NULL;
                n->ports = p;
                n->ports_allocated += PORTS_STEP;
        }
        p = &n->ports[n->n_ports++];
        *p = (struct port){};
        text_copy(p->uuid, sizeof p->uuid, uuid);
        return p;
}

void net_bridge_remove(struct net *n, struct bridge *b) {
        *b = n->bridges[--n->n_bridges];
}

void net_port_remove(struct net *n, struct port *p) {
        *p = n->ports[--n->n_ports];
}

void net_forget_named(struct net *n) {
        for (size_t i = 0; i < n->n_bridges; i++)
                n->bridges[i].named = false;
        for (size_t i = 0; i < n->n_ports; i++)
                n->ports[i].named = false;
}

uint32_t net_next_number(struct net *n) {
        n->last_number = n->last_number % NAME_NUMBER_MAX + 1;
        return n->last_number;
}

void net_saw_number(struct net *n, uint32_t number) {
        if (number > n->last_number)
                n->last_number = number;
}
