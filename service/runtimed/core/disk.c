/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns who has which disk. The files and the VMs' specs are the only truth. */
#include "core/disk.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/pools.h"
#include "core/storage.h"
#include "model/name.h"
#include "shared/log.h"

static const DiskSpec *find(const VMSpec *spec, const char *name) {
        for (size_t i = 0; i < spec->n_disks; i++)
                if (strcmp(spec->disks[i].name, name) == 0)
                        return &spec->disks[i];
        return NULL;
}

VM *disk_user(Runtime *rt, uint32_t owner, const char *name) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                VM *vm = value;

                if (vm->record && vm->record->owner == owner && find(vm->record->spec, name))
                        return vm;
        }
        return NULL;
}

typedef struct Sum {
        uint64_t bytes, count;
} Sum;

static void add_size(uint32_t owner, const char *name, uint64_t bytes, void *userdata) {
        Sum *sum = userdata;

        sum->bytes += bytes;
        sum->count++;
}

/* What a spec names and nobody has made. */
static void add_planned(Runtime *rt, uint32_t owner, const VMSpec *spec, Sum *sum) {
        for (size_t i = 0; i < spec->n_disks; i++)
                if (store_disk_size(rt->store, owner, spec->disks[i].name) == 0)
                        add_size(owner, spec->disks[i].name, spec->disks[i].bytes, sum);
}

static uint64_t planned(Runtime *rt, uint32_t owner, const VMSpec *spec) {
        Sum sum = {};

        add_planned(rt, owner, spec, &sum);
        return sum.bytes;
}

uint64_t disks_planned(const VM *vm) {
        return vm->record ? planned(vm->runtime, vm_owner(vm), vm->record->spec) : 0;
}

static Sum sum_of(Runtime *rt, uint32_t owner, const VM *without) {
        GHashTableIter iter;
        gpointer value;
        Sum sum = {};

        store_disks_each(rt->store, owner, add_size, &sum);
        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (value != without && ((VM *) value)->record && vm_owner(value) == owner)
                        add_planned(rt, owner, ((VM *) value)->record->spec, &sum);
        return sum;
}

uint64_t disks_bytes(Runtime *rt, uint32_t owner) {
        return sum_of(rt, owner, NULL).bytes;
}

void disks_each(Runtime *rt, uint32_t owner, StoreDiskFound each, void *userdata) {
        store_disks_each(rt->store, owner, each, userdata);
}

static int check_one(Runtime *rt, uint32_t owner, const DiskSpec *d, const VM *self, Problem **ret_problem) {
        VM *user = disk_user(rt, owner, d->name);
        uint64_t size = store_disk_size(rt->store, owner, d->name);

        if (user && user != self)
                return problem_set(ret_problem, "DiskInUse", "Disks",
                        "Disks: disk '%s' belongs to VM '%s'; a disk is used by one VM at a time", d->name, user->name);
        if (size == 0 && d->bytes == 0)
                return problem_set(ret_problem, "InvalidSpec", "Disks",
                        "Disks: there is no disk '%s' of this owner; say how many bytes a new one shall have", d->name);
        if (size > 0 && d->bytes > 0 && size != d->bytes)
                return problem_set(ret_problem, "InvalidSpec", "Disks",
                        "Disks: disk '%s' is there with %" PRIu64 " bytes, not %" PRIu64 "; say 0 to take it as it is", d->name,
                        size, d->bytes);
        return 0;
}

int disks_check(Runtime *rt, uint32_t owner, const VMSpec *spec, const VM *self, Problem **ret_problem) {
        const Config *config = rt->config;
        uint64_t more, before;
        Sum sum;

        if (spec->n_disks == 0)
                return 0;
        for (size_t i = 0; i < spec->n_disks; i++) {
                int r = check_one(rt, owner, &spec->disks[i], self, ret_problem);

                if (r < 0)
                        return r;
        }
        sum = sum_of(rt, owner, self);
        add_planned(rt, owner, spec, &sum);
        if (owner == 0)
                return 0;
        if (sum.count > config->disks_max)
                return problem_set(ret_problem, "QuotaExceeded", "Disks",
                        "Disks: user %" PRIu32 " would have %" PRIu64 " disks, above the limit of %" PRIu32, owner, sum.count,
                        config->disks_max);
        sum.bytes += storage_bytes_of(rt, owner);
        if (config->user_disk_bytes > 0 && sum.bytes > config->user_disk_bytes)
                return problem_set(ret_problem, "QuotaExceeded", "Disks",
                        "Disks: user %" PRIu32 " would have %" PRIu64 " bytes of volumes and disks, above the limit of %" PRIu64,
                        owner, sum.bytes, config->user_disk_bytes);
        more = planned(rt, owner, spec);
        before = self ? disks_planned(self) : 0;
        return more > before ? pool_check_store(rt, owner, more - before, "Disks", ret_problem) : 0;
}

void disks_remove_of(VM *vm) {
        for (size_t i = 0; vm->record && i < vm->record->spec->n_disks; i++) {
                const char *name = vm->record->spec->disks[i].name;
                int r = store_disk_remove(vm->runtime->store, vm->record->owner, name);

                if (r < 0)
                        log_error("%s: its disk '%s' could not be removed: %s", vm->name, name, g_strerror(-r));
        }
}

int disk_remove(Runtime *rt, uint32_t owner, const char *name, Problem **ret_problem) {
        VM *user = disk_user(rt, owner, name);
        int r;

        if (user)
                return problem_set(ret_problem, "DiskInUse", NULL, "disk '%s' belongs to VM '%s'", name, user->name);
        if (!vm_name_is_valid(name) || store_disk_size(rt->store, owner, name) == 0) {
                g_autofree char *shown = problem_quote(name);

                return problem_set(ret_problem, "NoSuchDisk", NULL, "you have no disk %s; see ListDisks", shown);
        }
        r = store_disk_remove(rt->store, owner, name);
        return r < 0 ? problem_set(ret_problem, "NoSpace", NULL, "disk '%s' could not be removed: %s", name, g_strerror(-r))
                     : 0;
}
