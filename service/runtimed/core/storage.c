/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the making of what a VM mounts beside its root. */
#include "core/storage.h"

#include <errno.h>
#include <fcntl.h>

#include "core/quota.h"
#include "core/work.h"
#include "model/mount.h"
#include "shared/fd.h"
#include "shared/log.h"

#define VOLUMES "volumes.squashfs"
#define ARCHIVES "archives.squashfs"

struct Storage {
        VM *vm;
        Work *work;
        char *tmp;        /* what the worker writes to, */
        const char *file; /* and what it becomes: a file of the VM's directory, */
        const DiskSpec *disk; /* or a disk of the owner's */
        StorageDone done;
        void *userdata;
};

static void drop_half(Storage *s) {
        Store *store = s->vm->runtime->store;

        if (s->tmp && s->disk)
                store_disk_discard(store, vm_owner(s->vm), s->tmp);
        else if (s->tmp)
                store_vm_discard(store, s->vm->name, s->tmp);
}

static void storage_free(Storage *s) {
        s->vm->storing = 0;
        (void) work_cancel(s->work);
        drop_half(s);
        g_free(s->tmp);
        g_free(s);
}

static void storage_end(Storage *s, const Problem *problem) {
        StorageDone done = s->done;
        void *userdata = s->userdata;

        storage_free(s);
        done(problem, userdata);
}

Storage *storage_cancel(Storage *s) {
        if (s)
                storage_free(s);
        return NULL;
}

static void storage_fail(Storage *s, int r, const char *what) {
        g_autoptr(Problem) p = problem_new(
                r == -ENOSPC || r == -EDQUOT ? "NoSpace" : "BuildFailed", NULL, "%s: %s", what, g_strerror(-r));

        storage_end(s, p);
}

static void storage_next(Storage *s);

static int commit(Storage *s) {
        Store *store = s->vm->runtime->store;

        return s->disk ? store_disk_commit(store, vm_owner(s->vm), s->tmp, s->disk->name)
                       : store_vm_commit(store, s->vm->name, s->tmp, s->file);
}

static void on_made(json_t *result, const Problem *problem, void *userdata) {
        Storage *s = userdata;
        int r;

        s->work = NULL;
        if (problem) {
                storage_end(s, problem);
                return;
        }
        r = commit(s);
        if (r < 0) {
                storage_fail(s, r, s->disk ? "the disk could not be stored" : "the volumes could not be stored");
                return;
        }
        g_clear_pointer(&s->tmp, g_free);
        s->vm->storing = 0;
        storage_next(s);
}

static json_t *json_paths(char **volumes) {
        json_t *paths = json_array();

        for (char **v = volumes; *v; v++) {
                HostMount m;

                if (host_mount_parse(*v, &m) < 0)
                        continue;
                (void) json_array_append_new(paths, json_string(m.host));
                host_mount_clear(&m);
        }
        return paths;
}

static json_t *bake_message(VM *vm, const char *file) {
        const Config *config = vm->runtime->config;
        json_t *message = json_pack("{s:s, s:{s:I, s:I}}", "op", "volumes", "limits", "bytes",
                (json_int_t) MIN(vm->storing, (uint64_t) INT64_MAX), "entries",
                (json_int_t) MIN(config->image_entries_max, (uint64_t) INT64_MAX));

        if (g_str_equal(file, VOLUMES)) {
                (void) json_object_set_new(message, "paths", json_paths(vm->record->spec->volumes));
                (void) json_object_set_new(message, "roots", work_roots(vm->runtime));
        }
        return message;
}

static void bake(Storage *s, const char *file) {
        static const char *const names[] = {"output", "archive0", "archive1", "archive2", "archive3", "archive4",
                "archive5", "archive6", "archive7"};
        VM *vm = s->vm;
        g_autoptr(Problem) problem = NULL;
        int fds[G_N_ELEMENTS(names)], r;
        size_t n = 1;

        G_STATIC_ASSERT(G_N_ELEMENTS(names) == SPEC_ARCHIVES_MAX + 1);
        if (quota_storage(vm, &vm->storing, &problem) < 0) {
                storage_end(s, problem);
                return;
        }
        vm->storing = MIN(vm->storing, vm->runtime->config->volume_bytes_max);
        s->file = file;
        s->disk = NULL;
        fds[0] = store_vm_create(vm->runtime->store, vm->name, &s->tmp);
        if (fds[0] < 0) {
                storage_fail(s, fds[0], "the image of the volumes");
                return;
        }
        if (g_str_equal(file, ARCHIVES)) {
                for (; n <= vm->payload.n_archives; n++)
                        fds[n] = take_fd(&vm->payload.archives[n - 1]);
                vm->payload.n_archives = 0;
        }
        r = work_start(vm->runtime, vm->job, 0, 0.2, bake_message(vm, file), fds, names, n, on_made, s, &s->work);
        if (r < 0)
                storage_fail(s, r, "the image worker could not be started");
}

/* mkfs.ext4 on the descriptor: sparse, so only what is written takes room. */
static void format(Storage *s, const DiskSpec *disk) {
        static const char *const names[] = {"disk"};
        VM *vm = s->vm;
        const Config *config = vm->runtime->config;
        int fd, r;

        s->disk = disk;
        fd = store_disk_create(vm->runtime->store, vm_owner(vm), disk->bytes, &s->tmp);
        if (fd < 0) {
                storage_fail(s, fd, "the disk could not be made");
                return;
        }
        r = work_start(vm->runtime, vm->job, 0, 0.2,
                json_pack("{s:s, s:s, s:s}", "op", "format", "mkfs", config->mkfs, "label", disk->name), &fd, names, 1, on_made,
                s, &s->work);
        if (r < 0)
                storage_fail(s, r, "the image worker could not be started");
}

static bool is_there(VM *vm, const char *file) {
        return store_vm_size(vm->runtime->store, vm->name, file) > 0;
}

static void storage_next(Storage *s) {
        const VMSpec *spec = s->vm->record->spec;

        if (*spec->volumes && !is_there(s->vm, VOLUMES)) {
                bake(s, VOLUMES);
                return;
        }
        if (*spec->archives && !is_there(s->vm, ARCHIVES)) {
                g_autoptr(Problem) gone = problem_new("NotSupported", "VolumeArchives",
                        "VolumeArchives: the archives were not stored when the VM was first started, and are gone; "
                        "remove the "
                        "VM and run it anew");

                if (s->vm->payload.n_archives > 0)
                        bake(s, ARCHIVES);
                else
                        storage_end(s, gone);
                return;
        }
        for (size_t i = 0; i < spec->n_disks; i++)
                if (store_disk_size(s->vm->runtime->store, vm_owner(s->vm), spec->disks[i].name) == 0) {
                        format(s, &spec->disks[i]);
                        return;
                }
        storage_end(s, NULL);
}

void storage_ensure(VM *vm, StorageDone done, void *userdata, Storage **ret) {
        Storage *s = g_new0(Storage, 1);

        *s = (Storage){.vm = vm, .done = done, .userdata = userdata};
        *ret = s;
        storage_next(s);
}

static int open_image(VM *vm, const char *file) {
        return store_vm_open(vm->runtime->store, vm->name, file, O_RDONLY);
}

int storage_open_volumes(VM *vm) {
        return open_image(vm, VOLUMES);
}

int storage_open_archives(VM *vm) {
        return open_image(vm, ARCHIVES);
}

int storage_forget_volumes(VM *vm) {
        return store_vm_unlink(vm->runtime->store, vm->name, VOLUMES);
}

uint64_t storage_bytes_of_vm(const VM *vm) {
        Store *store = vm->runtime->store;

        if (!vm->record || (!*vm->record->spec->volumes && !*vm->record->spec->archives))
                return 0;
        return vm->storing + store_vm_size(store, vm->name, VOLUMES) + store_vm_size(store, vm->name, ARCHIVES);
}

uint64_t storage_bytes_of(Runtime *rt, uint32_t owner) {
        GHashTableIter iter;
        gpointer value;
        uint64_t bytes = 0;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (vm_owner(value) == owner)
                        bytes += storage_bytes_of_vm(value);
        return bytes;
}
