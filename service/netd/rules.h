/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

#include "netd/state.h"

/*
 * The guard as text for libnftables. Pure: writes commands, one a line; each function's lines make a transaction, and
 * several may be put together into one.
 *
 * Table bridge mcp_runtime looks at every frame that a TAP of ours brings in. TAPs are known by their interface group,
 * and what is not in the set of identities is dropped: a TAP without an element reaches nobody. So a port costs one
 * element and the rules are the same for one VM and for a thousand. Table inet mcp_runtime looks at what the host
 * itself gets and forwards, by managed bridge. VMs may also ping the gateway, so that a person can see that the network
 * is there.
 */

#define GUARD_TABLE "mcp_runtime"

/* Interface groups: PORT_GROUP and two bits. */
#define PORT_GROUP 0x6d637000U
#define PORT_GROUP_OPEN 1U   /* VMs reach each other */
#define PORT_GROUP_JOINED 2U /* on a bridge of the host */
uint32_t port_group(const struct port *p);
/* Only for the moment before they are removed, all in one go. */
#define DOOMED_GROUP (PORT_GROUP + 0xfffU)

/* Tables, sets and the rules that are always the same. Can be said again and again; elements and bridges stay. */
void rules_write_base(FILE *f);

/* A managed bridge, new or changed. Nothing for a joined one. */
void rules_write_bridge(FILE *f, const struct bridge *b);
void rules_write_bridge_removal(FILE *f, const char *bridge);

/* Ports, whose identity is known. */
void rules_write_port(FILE *f, const struct port *p);
void rules_write_port_removal(FILE *f, const struct port *p);

/* Everything anew: whatever was in our tables goes, in the same transaction. */
void rules_write_all(FILE *f, const struct net *n);

/* The elements of the identity set as `nft list set` prints them. Calls found for each; returns how many. text is
 * changed. */
typedef void (*RulesFound)(const char *interface, const uint8_t mac[static 6], uint32_t address, void *userdata);
size_t rules_parse_identities(char *text, RulesFound found, void *userdata);

/* A named counter's frames in what `nft list counters` prints; 0 where it is not. */
uint64_t rules_parse_counter(const char *text, const char *name);
