/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/network.h"

/* What users share: the addresses of a network, the disk space of the store, the pending calls of Wait. FairShares=
 * gives each user a share (model/fair.h) and so leaves a place for who comes later. Root is not limited, and no user
 * here; what it holds is not free. */

typedef struct PoolUse {
        uint32_t user;
        uint64_t free, own;
        GHashTable *others; /* uids */
} PoolUse;

void pool_use_clear(PoolUse *u);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PoolUse, pool_use_clear)

/* The holder has so much of it, beside what was said before. */
void pool_hold(PoolUse *u, uint32_t holder, uint64_t amount);

/* How much more the user may take; what is free where users have no shares (FairShares=no, root). */
uint64_t pool_room(const Runtime *rt, const PoolUse *u);

/* The refusal: what is "addresses", where "network 'default'". Its errno. */
int pool_problem(
        const PoolUse *u, uint64_t more, const char *key, const char *what, const char *where, Problem **ret_problem);

/* One more address for the owner. self (or NULL): whose lease, where it has one already, is not counted. */
int pool_check_address(const Network *n, uint32_t owner, const VMRecord *self, Problem **ret_problem);

/* How many bytes the owner may still bring to the store. What is promised to users (sparse disks, imports under way) is
 * not free any more, and ReservedBytes= are root's. */
uint64_t pool_store_room(Runtime *rt, uint32_t owner);

/* So many more: QuotaExceeded. key may be NULL. */
int pool_check_store(Runtime *rt, uint32_t owner, uint64_t more, const char *key, Problem **ret_problem);
