/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "netd/rules.h"

/* Owns libnftables: runs the text of rules.h as transactions, and reads our tables. */

struct nft_ctx;

struct guard {
        struct nft_ctx *ctx;
        char error[NETD_TEXT_SIZE]; /* nft's words for the last failure, one line */
        uint64_t picture;           /* of our tables as we left them */
};

int guard_open(struct guard *g);
void guard_close(struct guard *g);

/* All return 0, or -EIO with g->error, or -ENOMEM; a failed transaction has changed nothing. */

/* Makes the tables where they are not, or are another version's. */
int guard_prepare(struct guard *g, const struct net *n);
int guard_bridge(struct guard *g, const struct bridge *b);
int guard_bridge_remove(struct guard *g, const char *name);
int guard_port(struct guard *g, const struct port *p);
int guard_ports_remove(struct guard *g, const struct port *ports, size_t n);
int guard_replace(struct guard *g, const struct net *n);

/* Whether our tables are as we left them, and every port has its identity. */
bool guard_is_whole(struct guard *g, const struct net *n);

int guard_identities(struct guard *g, RulesFound found, void *userdata);
int guard_counters(struct guard *g, struct netd_counters *ret);
