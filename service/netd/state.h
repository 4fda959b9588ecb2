/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/config.h"
#include "netd/names.h"
#include "shared/netd-wire.h"

/* netd's picture of what is ours: bridges and ports. Nothing of it is on disk: interfaces, their aliases and the
 * nftables tables in the kernel are what it is made of after a restart, and what the daemon says then. */

struct bridge {
        char name[NETD_INTERFACE_SIZE];
        unsigned ifindex; /* 0: not there at the moment */
        bool up;
        bool wanted;             /* the daemon has asked for it since netd started; else only its interface is known */
        bool named;              /* since HELLO */
        bool suspicious, failed; /* is not as we left it, perhaps; could not be put right, which was told */
        bool managed, isolated;
        uint32_t gateway; /* 0: none */
        uint8_t prefix;
        size_t n_services;
        struct netd_service services[NETD_SERVICES_MAX];
};

struct port {
        char uuid[NETD_UUID_SIZE];
        char name[NETD_INTERFACE_SIZE];
        char bridge[NETD_INTERFACE_SIZE]; /* empty: not known */
        unsigned ifindex;                 /* 0: has gone */
        unsigned master;                  /* as found at start */
        bool identified;                  /* MAC and address are known, so its rules can be written */
        bool named;                       /* since HELLO */
        bool suspicious, failed;          /* as a bridge's */
        bool managed, isolated;           /* of its bridge */
        uint8_t mac[6];
        uint32_t address;
};

struct net {
        struct config config;
        struct bridge bridges[NETD_BRIDGES_MAX];
        size_t n_bridges;
        struct port *ports;
        size_t n_ports, ports_allocated;
        uint32_t last_number; /* of a TAP's name */
};

void net_free(struct net *n);

/* NULL where there is none. Pointers are good until the next add or remove. */
struct bridge *net_bridge(struct net *n, const char *name);
struct bridge *net_bridge_by_index(struct net *n, unsigned ifindex);
struct port *net_port(struct net *n, const char *uuid);
struct port *net_port_by_index(struct net *n, unsigned ifindex);
size_t net_ports_on(const struct net *n, const char *bridge);

/* A zeroed entry with that name; NULL at the limit or without memory. */
struct bridge *net_bridge_add(struct net *n, const char *name);
struct port *net_port_add(struct net *n, const char *uuid);
void net_bridge_remove(struct net *n, struct bridge *b);
void net_port_remove(struct net *n, struct port *p);

/* Forgets what was named, for a new HELLO. */
void net_forget_named(struct net *n);

/* The number for the next name: goes round, so that a name is not taken again soon. */
uint32_t net_next_number(struct net *n);
void net_saw_number(struct net *n, uint32_t number);
