/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts what users have of what they share. Counted anew at each question: the objects are the only truth. */
#include "core/pools.h"

#include <inttypes.h>

#include "core/disk.h"
#include "core/image.h"
#include "core/nanos.h"
#include "core/storage.h"
#include "model/fair.h"

void pool_use_clear(PoolUse *u) {
        g_clear_pointer(&u->others, g_hash_table_unref);
}

void pool_hold(PoolUse *u, uint32_t holder, uint64_t amount) {
        if (amount == 0)
                return;
        if (holder == u->user) {
                u->own += amount;
                return;
        }
        if (holder == 0)
                return;
        if (!u->others)
                u->others = g_hash_table_new(NULL, NULL);
        (void) g_hash_table_add(u->others, GUINT_TO_POINTER(holder));
}

static uint32_t count_others(const PoolUse *u) {
        return u->others ? g_hash_table_size(u->others) : 0;
}

uint64_t pool_room(const Runtime *rt, const PoolUse *u) {
        if (u->user == 0 || !rt->config->fair_shares)
                return u->free;
        return MIN(u->free, fair_room(u->free, u->own, count_others(u)));
}

int pool_problem(
        const PoolUse *u, uint64_t more, const char *key, const char *what, const char *where, Problem **ret_problem) {
        return problem_set(ret_problem, "QuotaExceeded", key,
                "%s%suser %" PRIu32 " has %" PRIu64 " %s of %s, %" PRIu64 " more would be above its share of %" PRIu64
                ": %" PRIu64 " are free, %" PRIu32 " other users have some",
                key ?: "", key ? ": " : "", u->user, u->own, what, where, more,
                fair_share(u->free, u->own, count_others(u)), u->free, count_others(u));
}

/* ---- Addresses ---- */

int pool_check_address(const Network *n, uint32_t owner, const VMRecord *self, Problem **ret_problem) {
        Runtime *rt = n->runtime;
        g_autofree char *where = g_strdup_printf("network '%s'", n->name);
        g_auto(PoolUse) u = {.user = owner};
        uint64_t all = subnet_hosts(n->spec->subnet) - 1, taken = 0; /* without the gateway */
        GHashTableIter iter;
        gpointer value;

        if (owner == 0)
                return 0;
        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const VMRecord *other = ((VM *) value)->record;

                if (!other || other == self || !*other->address || strcmp(other->spec->network, n->name) != 0)
                        continue;
                pool_hold(&u, other->owner, 1);
                taken++;
        }
        u.free = all > taken ? all - taken : 0;
        if (u.free == 0 || pool_room(rt, &u) > 0) /* that none is left is told by who looks for one */
                return 0;
        return pool_problem(&u, 1, "Network", "addresses", where, ret_problem);
}

/* ---- Disk space ---- */

typedef struct StoreUse {
        PoolUse use;
        uint64_t promised; /* to users, and not written yet */
} StoreUse;

static void hold(StoreUse *s, uint32_t holder, uint64_t bytes, uint64_t unwritten) {
        pool_hold(&s->use, holder, bytes);
        if (holder != 0)
                s->promised += MIN(unwritten, UINT64_MAX - s->promised);
}

static void hold_disk(uint32_t owner, uint64_t bytes, uint64_t written, void *userdata) {
        hold(userdata, owner, bytes, bytes > written ? bytes - written : 0);
}

static void hold_vms(StoreUse *s, Runtime *rt) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const VM *vm = value;
                uint64_t planned = disks_planned(vm);

                hold(s, vm_owner(vm), storage_bytes_of_vm(vm), vm->storing);
                hold(s, vm_owner(vm), planned, planned);
        }
}

static void hold_images(StoreUse *s, Runtime *rt) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->images);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const Image *image = value;

                hold(s, image->owner, image->size + image->archive_size + nanos_bytes(image), 0);
        }
        g_hash_table_iter_init(&iter, rt->jobs);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const Job *job = value;

                if (!job_state_is_finished(job->state))
                        hold(s, job->owner, job->reserved, job->reserved);
        }
}

static void count_store(StoreUse *s, Runtime *rt) {
        uint64_t free = store_free_bytes(rt->store), kept = rt->config->reserved_bytes;

        store_disks_written(rt->store, hold_disk, s);
        hold_vms(s, rt);
        hold_images(s, rt);
        kept = s->promised > UINT64_MAX - kept ? UINT64_MAX : kept + s->promised;
        s->use.free = free > kept ? free - kept : 0;
}

uint64_t pool_store_room(Runtime *rt, uint32_t owner) {
        g_auto(PoolUse) u = {};
        StoreUse s = {.use.user = owner};

        if (owner == 0)
                return UINT64_MAX;
        count_store(&s, rt);
        u = s.use;
        return pool_room(rt, &u);
}

int pool_check_store(Runtime *rt, uint32_t owner, uint64_t more, const char *key, Problem **ret_problem) {
        g_auto(PoolUse) u = {};
        StoreUse s = {.use.user = owner};

        if (owner == 0 || more == 0)
                return 0;
        count_store(&s, rt);
        u = s.use;
        if (more <= pool_room(rt, &u))
                return 0;
        return pool_problem(&u, more, key, "bytes", "the store's disk space", ret_problem);
}
