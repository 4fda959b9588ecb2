/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts what each owner holds. Counted anew at each question: the objects are the only truth. */
#include "core/quota.h"

#include <errno.h>
#include <inttypes.h>

#include "core/disk.h"
#include "core/image.h"
#include "core/nanos.h"
#include "core/pools.h"
#include "core/storage.h"

typedef struct Usage {
        uint64_t vms, running, memory_mib, vcpus;
        uint64_t host_memory_mib; /* of everybody's running VMs */
} Usage;

static void count_vms(Runtime *rt, uint32_t owner, Usage *u) {
        GHashTableIter iter;
        gpointer value;

        *u = (Usage){};
        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const VM *vm = value;
                bool own = vm_owner(vm) == owner, active = vm_state_is_active(vm_state(vm));

                u->vms += own;
                if (!active)
                        continue;
                u->host_memory_mib += vm->record->spec->memory_mib;
                if (!own)
                        continue;
                u->running++;
                u->memory_mib += vm->record->spec->memory_mib;
                u->vcpus += vm->record->spec->vcpus;
        }
}

/* limit 0: none. */
static int check(
        uint32_t owner, uint64_t used, uint64_t more, uint64_t limit, const char *what, Problem **ret_problem) {
        if (owner == 0 || limit == 0 || used + more <= limit)
                return 0;
        return problem_set(ret_problem, "QuotaExceeded", NULL,
                "user %" PRIu32 " has %" PRIu64 " %s, %" PRIu64 " more would be above the limit of %" PRIu64, owner,
                used, what, more, limit);
}

int quota_check_vm(Runtime *rt, uint32_t owner, Problem **ret_problem) {
        Usage u;

        count_vms(rt, owner, &u);
        return check(owner, u.vms, 1, rt->config->vms_max, "VMs", ret_problem);
}

int quota_check_spec(Runtime *rt, uint32_t owner, const VMSpec *spec, Problem **ret_problem) {
        uint64_t limit = rt->config->spec_bytes_max, bytes;
        json_t *object;

        if (owner == 0 || limit == 0)
                return 0;
        object = vm_spec_to_json(spec);
        bytes = json_dumpb(object, NULL, 0, JSON_COMPACT);
        json_decref(object);
        if (bytes <= limit)
                return 0;
        return problem_set(ret_problem, "QuotaExceeded", NULL,
                "the spec has %" PRIu64 " bytes, above the limit of %" PRIu64 " for user %" PRIu32, bytes, limit,
                owner);
}

int quota_check_job(Runtime *rt, uint32_t owner, Problem **ret_problem) {
        GHashTableIter iter;
        gpointer value;
        uint64_t n = 0;

        g_hash_table_iter_init(&iter, rt->jobs);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                n += ((Job *) value)->owner == owner && !job_state_is_finished(((Job *) value)->state);
        return check(owner, n, 1, rt->config->jobs_max, "jobs under way", ret_problem);
}

int quota_check_start(const VM *vm, Problem **ret_problem) {
        const Config *config = vm->runtime->config;
        const VMSpec *spec = vm->record->spec;
        uint32_t owner = vm_owner(vm);
        Usage u;
        int r;

        count_vms(vm->runtime, owner, &u);
        r = check(owner, u.running, 1, config->running_max, "running VMs", ret_problem);
        if (r >= 0)
                r = check(owner, u.memory_mib, spec->memory_mib, config->user_memory_mib, "MiB of running VMs",
                        ret_problem);
        if (r >= 0)
                r = check(owner, u.vcpus, spec->vcpus, config->user_vcpus, "CPUs of running VMs", ret_problem);
        if (r < 0)
                return r;
        if (u.host_memory_mib + spec->memory_mib > vm->runtime->limits.memory_mib_max)
                return problem_set(ret_problem, "NoSpace", "MemoryMiB",
                        "MemoryMiB: running VMs have %" PRIu64 " MiB, %" PRIu32 " more is above the host's %" PRIu32,
                        u.host_memory_mib, spec->memory_mib, vm->runtime->limits.memory_mib_max);
        return 0;
}

static void count_images(Runtime *rt, uint32_t owner, uint64_t *ret_stored, uint64_t *ret_reserved) {
        GHashTableIter iter;
        gpointer value;

        *ret_stored = *ret_reserved = 0;
        g_hash_table_iter_init(&iter, rt->images);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (((Image *) value)->owner == owner)
                        *ret_stored += ((Image *) value)->size + ((Image *) value)->archive_size +
                                       nanos_bytes(value);
        g_hash_table_iter_init(&iter, rt->jobs);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (((Job *) value)->owner == owner && !job_state_is_finished(((Job *) value)->state))
                        *ret_reserved += ((Job *) value)->reserved;
}

uint64_t quota_image_bytes(Runtime *rt, uint32_t owner) {
        uint64_t limit = rt->config->user_image_bytes, stored, reserved, room;

        if (owner == 0)
                return UINT64_MAX;
        count_images(rt, owner, &stored, &reserved);
        room = limit == 0 ? UINT64_MAX : limit > stored + reserved ? limit - stored - reserved : 0;
        return MIN(room, pool_store_room(rt, owner));
}

bool quota_has_image_room(Runtime *rt, uint32_t owner) {
        uint64_t stored, reserved;

        count_images(rt, owner, &stored, &reserved);
        return reserved == 0 || quota_image_bytes(rt, owner) > 0;
}

int quota_check_image(Runtime *rt, uint32_t owner, Problem **ret_problem) {
        uint64_t stored, reserved;
        int r;

        count_images(rt, owner, &stored, &reserved);
        r = check(owner, stored, 1, rt->config->user_image_bytes, "bytes of images", ret_problem);
        if (r < 0 || reserved > 0) /* it waits for what the others leave, see builds.h */
                return r;
        return pool_check_store(rt, owner, 1, NULL, ret_problem);
}

int quota_storage(const VM *vm, uint64_t *ret_bytes, Problem **ret_problem) {
        Runtime *rt = vm->runtime;
        uint32_t owner = vm_owner(vm);
        uint64_t limit = rt->config->user_disk_bytes, used = storage_bytes_of(rt, owner) + disks_bytes(rt, owner);

        int r;

        *ret_bytes = owner == 0 || limit == 0 ? UINT64_MAX : limit > used ? limit - used : 0;
        *ret_bytes = MIN(*ret_bytes, pool_store_room(rt, owner));
        r = check(owner, used, 1, limit, "bytes of volumes and disks", ret_problem);
        return r < 0 ? r : pool_check_store(rt, owner, 1, NULL, ret_problem);
}
