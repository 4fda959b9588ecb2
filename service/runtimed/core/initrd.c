/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the builds of base initrds. */
#include "core/initrd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/work.h"
#include "model/name.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/log.h"
#include "store/stamp.h"

/* What guest init needs before it can read anything; '?' marks what a guest can live without. */
static const char *const modules[] = {"virtio_pci", "virtio_blk", "virtio_net", "virtio_console",
        "squashfs", "overlay", "button?", "evdev?", "virtio_rng?", "virtio_balloon?"};

/* Where the boot message comes that way; not every kernel of a machine that has none knows it. */
static const char *const fw_cfg_modules[] = {"qemu_fw_cfg"};

/* And with UEFI: the variables, and the TPM where the kernel has it as a module. */
static const char *const uefi_modules[] = {"efivarfs?", "tpm_tis?", "tpm_crb?"};

/* Disks: ext4 is in some kernels themselves, and asks for the checksum by its name, not as a dependency. */
static const char *const disk_modules[] = {"crc32c_generic?", "ext4?"};
static const char *const share_modules[] = {"9pnet_virtio", "9p"};

typedef struct InitrdBuild {
        Runtime *runtime;
        char *key, *tmp;
        Work *work;
        GPtrArray *waiters;
} InitrdBuild;

void initrd_build_free(void *build) {
        InitrdBuild *b = build;

        (void) work_cancel(b->work);
        if (b->tmp)
                store_cache_discard(b->runtime->store, b->tmp);
        g_ptr_array_unref(b->waiters);
        g_free(b->key);
        g_free(b->tmp);
        g_free(b);
}

/* ---- The cache: an initrd, and beside it what it was when it was made ---- */

static char *fact_name(const char *key) {
        return g_strconcat(key, ".json", NULL);
}

/* An initrd that is not the one we made counts as none: it is made anew. */
static bool is_cached(Runtime *rt, const char *key) {
        _cleanup_close_ int fd = store_cache_open(rt->store, key);
        g_autofree char *name = fact_name(key);
        json_t *fact = fd < 0 ? NULL : store_fact_load(rt->store, name);
        Stamp stamp = stamp_from_json(json_object_get(fact, "stamp"));

        json_decref(fact);
        return fd >= 0 && stamp_is_of(&stamp, fd);
}

static int commit(InitrdBuild *b, json_t *digest) {
        g_autofree char *name = fact_name(b->key);
        _cleanup_close_ int fd = -1;
        json_t *fact;
        Stamp stamp;
        int r;

        CRASH_POINT(INITRD_BUILT);
        r = store_cache_commit(b->runtime->store, b->tmp, b->key);
        CRASH_POINT(INITRD_LINKED);
        if (r < 0)
                return r;
        g_clear_pointer(&b->tmp, g_free);
        fd = r = store_cache_open(b->runtime->store, b->key);
        if (r >= 0)
                r = stamp_of(fd, &stamp);
        if (r < 0)
                return r;
        fact = json_pack("{s:O, s:o}", "digest", digest, "stamp", stamp_to_json(&stamp));
        r = store_fact_save(b->runtime->store, name, fact);
        json_decref(fact);
        return r;
}

/* ---- Builds ---- */

static void build_end(InitrdBuild *b, const Problem *problem) {
        g_autoptr(GPtrArray) waiters = g_ptr_array_ref(b->waiters);

        (void) g_hash_table_remove(b->runtime->initrds, b->key);
        waiters_fire(waiters, problem);
}

static void build_fail(InitrdBuild *b, int r, const char *what) {
        g_autoptr(Problem) problem = problem_new(
                r == -ENOSPC || r == -EDQUOT ? "NoSpace" : "BuildFailed", NULL, "%s: %s", what, g_strerror(-r));

        build_end(b, problem);
}

static void on_hashed(json_t *result, const Problem *problem, void *userdata) {
        InitrdBuild *b = userdata;
        json_t *digest = json_object_get(result, "digest");
        int r;

        b->work = NULL;
        if (problem) {
                build_end(b, problem);
                return;
        }
        r = json_is_string(digest) && digest_is_valid(json_string_value(digest)) ? commit(b, digest) : -EBADMSG;
        if (r < 0) {
                build_fail(b, r, "the initrd could not be stored");
                return;
        }
        log_info("made %s, %s", b->key, json_string_value(digest));
        build_end(b, NULL);
}

/* Its unit is inactive: what is in the file now stays. */
static void on_built(json_t *result, const Problem *problem, void *userdata) {
        static const char *const names[] = {"file"};
        InitrdBuild *b = userdata;
        int fd, r;

        b->work = NULL;
        if (problem) {
                build_end(b, problem);
                return;
        }
        fd = r = store_cache_open(b->runtime->store, b->tmp);
        if (r >= 0)
                r = work_start(b->runtime, NULL, 0, 0, json_pack("{s:s}", "op", "hash"), &fd, names, 1, on_hashed, b,
                        &b->work);
        if (r < 0)
                build_fail(b, r, "the initrd could not be hashed");
}

static int build_start(InitrdBuild *b, const Kernel *kernel) {
        static const char *const names[] = {"guest-init", "modules", "output"};
        json_t *wanted = json_array();
        int fds[3], r;

        for (size_t i = 0; i < G_N_ELEMENTS(modules); i++)
                (void) json_array_append_new(wanted, json_string(modules[i]));
        for (size_t i = 0; kernel->fw_cfg && i < G_N_ELEMENTS(fw_cfg_modules); i++)
                (void) json_array_append_new(wanted, json_string(fw_cfg_modules[i]));
        for (size_t i = 0; kernel->needs & KERNEL_UEFI && i < G_N_ELEMENTS(uefi_modules); i++)
                (void) json_array_append_new(wanted, json_string(uefi_modules[i]));
        for (size_t i = 0; kernel->needs & KERNEL_DISKS && i < G_N_ELEMENTS(disk_modules); i++)
                (void) json_array_append_new(wanted, json_string(disk_modules[i]));
        for (size_t i = 0; kernel->needs & KERNEL_9P && i < G_N_ELEMENTS(share_modules); i++)
                (void) json_array_append_new(wanted, json_string(share_modules[i]));

        fds[2] = store_cache_create(b->runtime->store, &b->tmp);
        if (fds[2] < 0) {
                json_decref(wanted);
                return fds[2];
        }
        CRASH_POINT(INITRD_FILE);
        fds[0] = fcntl(kernel->guest_init, F_DUPFD_CLOEXEC, 3);
        fds[1] = fcntl(kernel->modules, F_DUPFD_CLOEXEC, 3);
        r = work_start(b->runtime, NULL, 0, 0,
                json_pack("{s:s, s:o, s:s}", "op", "initrd", "modules", wanted, "kernel", kernel->version), fds, names,
                3, on_built, b, &b->work);
        return r;
}

void initrd_ensure(Runtime *rt, const Kernel *kernel, WaiterDone done, void *userdata, Waiter **ret) {
        InitrdBuild *b;
        int r;

        *ret = NULL;
        if (is_cached(rt, kernel->cache_key)) {
                done(NULL, userdata);
                return;
        }
        b = g_hash_table_lookup(rt->initrds, kernel->cache_key);
        if (!b) {
                b = g_new0(InitrdBuild, 1);
                *b = (InitrdBuild){.runtime = rt, .key = g_strdup(kernel->cache_key), .waiters = waiters_new()};
                (void) g_hash_table_insert(rt->initrds, b->key, b);
                r = build_start(b, kernel);
                if (r < 0) {
                        g_autoptr(Problem) p = problem_new(
                                "BuildFailed", NULL, "the initrd's worker could not be started: %s", g_strerror(-r));

                        (void) g_hash_table_remove(rt->initrds, b->key);
                        done(p, userdata);
                        return;
                }
        }
        *ret = waiter_add(b->waiters, done, userdata);
}

static gboolean is_unwanted(gpointer key, gpointer value, gpointer userdata) {
        return ((InitrdBuild *) value)->waiters->len == 0;
}

void initrd_drop_unwanted(Runtime *rt) {
        (void) g_hash_table_foreach_remove(rt->initrds, is_unwanted, NULL);
}
