/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the state directory and what its parts share: atomic records, temporary files. Knows nothing of what records
 * mean. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "model/record.h"
#include "shared/atomic-file.h"
#include "shared/fd.h"
#include "shared/log.h"
#include "store/store-private.h"

int store_file_open(int dir, const char *name, int flags) {
        int fd;

        if (dir < 0)
                return dir;
        fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? -errno : fd;
}

int store_subdirectory(int dir, const char *name) {
        if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
                return -errno;
        return store_file_open(dir, name, O_RDONLY | O_DIRECTORY);
}

#define UID_BYTES 16

int store_owner_open(int dir, uint32_t owner) {
        char name[UID_BYTES];

        (void) snprintf(name, sizeof name, "%" PRIu32, owner);
        return store_file_open(dir, name, O_RDONLY | O_DIRECTORY);
}

int store_owner_make(int dir, uint32_t owner) {
        char name[UID_BYTES];

        (void) snprintf(name, sizeof name, "%" PRIu32, owner);
        return store_subdirectory(dir, name);
}

void store_owner_drop(int dir, uint32_t owner) {
        char name[UID_BYTES];

        (void) snprintf(name, sizeof name, "%" PRIu32, owner);
        (void) unlinkat(dir, name, AT_REMOVEDIR);
}

bool store_is_temporary(const char *name) {
        return g_str_has_prefix(name, ATOMIC_TMP_PREFIX);
}

DIR *store_entries_open(int dir) {
        int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d)
                (void) close_fd(fd);
        return d;
}

void store_each_entry(int dir, StoreEntryFound found, void *userdata) {
        DIR *d = store_entries_open(dir);
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        found(dir, e->d_name, userdata);
        if (d)
                (void) closedir(d);
}

static void remove_file(int dir, const char *name, void *userdata) {
        (void) unlinkat(dir, name, 0);
}

/* The directories here are two levels deep and hold plain files. */
void store_directory_remove(int dir, const char *name) {
        _cleanup_close_ int fd = store_file_open(dir, name, O_RDONLY | O_DIRECTORY);

        if (fd >= 0)
                store_each_entry(fd, remove_file, NULL);
        (void) unlinkat(dir, name, AT_REMOVEDIR);
}

struct cleaning {
        Store *store;
        unsigned removed;
};

bool store_entry_clean(Store *s, int dir, const char *name) {
        struct stat st;

        if (!store_is_temporary(name) || g_hash_table_contains(s->temporaries, name))
                return false;
        if (unlinkat(dir, name, 0) < 0 && errno == EISDIR)
                store_directory_remove(dir, name);
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) >= 0) {
                log_warning("%s was left half written, and cannot be removed", name);
                return false;
        }
        log_notice("%s was left half written, and is removed", name);
        return true;
}

static void clean_entry(int dir, const char *name, void *userdata) {
        struct cleaning *c = userdata;

        c->removed += store_entry_clean(c->store, dir, name);
}

static void clean_inside(int dir, const char *name, void *userdata) {
        _cleanup_close_ int fd = store_file_open(dir, name, O_RDONLY | O_DIRECTORY);

        if (fd >= 0)
                store_each_entry(fd, clean_entry, userdata);
}

static void clean_subdirectory(int dir, const char *name, void *userdata) {
        clean_entry(dir, name, userdata);
        clean_inside(dir, name, userdata);
}

static void clean_all_but_vms(struct cleaning *c) {
        Store *s = c->store;

        store_each_entry(s->images, clean_subdirectory, c);
        store_each_entry(s->disks, clean_subdirectory, c);
        store_each_entry(s->cache, clean_entry, c);
        store_each_entry(s->networks, clean_entry, c);
        store_each_entry(s->jobs, clean_entry, c);
}

unsigned store_clean(Store *s) {
        struct cleaning c = {.store = s};

        store_each_entry(s->vms, clean_subdirectory, &c);
        clean_all_but_vms(&c);
        return c.removed;
}

unsigned store_vm_clean(Store *s, const char *name) {
        struct cleaning c = {.store = s};

        clean_inside(s->vms, name, &c);
        return c.removed;
}

int store_open(const char *path, Store **ret) {
        _cleanup_close_ int root = -1;
        Store *s;

        root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return -errno;
        s = g_new0(Store, 1);
        s->temporaries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        s->vms = store_subdirectory(root, "vms");
        s->images = store_subdirectory(root, "images");
        s->cache = store_subdirectory(root, "cache");
        s->disks = store_subdirectory(root, "disks");
        s->networks = store_subdirectory(root, "networks");
        s->jobs = s->cache < 0 ? s->cache : store_subdirectory(s->cache, "jobs");
        if (s->vms < 0 || s->images < 0 || s->cache < 0 || s->networks < 0 || s->jobs < 0 || s->disks < 0) {
                int r = MIN(MIN(s->jobs, s->disks), MIN(MIN(s->vms, s->networks), MIN(s->images, s->cache)));

                (void) store_free(s);
                return r;
        }
        clean_all_but_vms(&(struct cleaning){.store = s});
        *ret = s;
        return 0;
}

Store *store_free(Store *s) {
        if (!s)
                return NULL;
        (void) close_fd(s->vms);
        (void) close_fd(s->images);
        (void) close_fd(s->cache);
        (void) close_fd(s->disks);
        (void) close_fd(s->networks);
        (void) close_fd(s->jobs);
        g_hash_table_unref(s->temporaries);
        g_free(s);
        return NULL;
}

uint64_t store_free_bytes(Store *s) {
        struct statvfs st;

        return fstatvfs(s->vms, &st) < 0 ? 0 : (uint64_t) st.f_bavail * st.f_frsize;
}

int store_text_load(int dir, const char *name, char **ret, size_t *ret_len) {
        _cleanup_close_ int fd = store_file_open(dir, name, O_RDONLY | O_NONBLOCK);

        return fd < 0 ? fd : read_file(fd, RECORD_BYTES_MAX, ret, ret_len);
}

int store_record_save(int dir, const char *name, json_t *object) {
        char *text = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
        int r;

        if (!text)
                return -ENOMEM;
        r = atomic_write(dir, name, text, strlen(text), 0600);
        free(text);
        return r;
}

/* What an older version of ours has written may have fewer keys, and no other values. */
static bool is_part_of(json_t *part, json_t *whole) {
        const char *key;
        json_t *value;

        if (!json_is_object(part) || !json_is_object(whole))
                return json_equal(part, whole);
        json_object_foreach(part, key, value) {
                if (!is_part_of(value, json_object_get(whole, key)))
                        return false;
        }
        return true;
}

bool store_record_is_saved(int dir, const char *name, json_t *object) {
        json_t *saved = NULL;
        char *text = NULL;
        size_t len;
        bool same;

        if (store_text_load(dir, name, &text, &len) >= 0)
                saved = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        same = json_is_object(saved) && is_part_of(saved, object);
        json_decref(saved);
        free(text);
        return same;
}

/* ---- Files for workers ---- */

int store_temporary_create(Store *s, int dir, char **ret_name) {
        g_autofree char *uuid = g_uuid_string_random(), *name = g_strconcat(ATOMIC_TMP_PREFIX, uuid, NULL);
        int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return -errno;
        (void) g_hash_table_add(s->temporaries, g_strdup(name));
        *ret_name = g_steal_pointer(&name);
        return fd;
}

int store_temporary_commit(Store *s, int dir, const char *tmp, const char *name, mode_t mode) {
        if (fchmodat(dir, tmp, mode, 0) < 0 || renameat(dir, tmp, dir, name) < 0)
                return -errno;
        (void) g_hash_table_remove(s->temporaries, tmp);
        return fsync(dir) < 0 ? -errno : 0;
}

void store_temporary_discard(Store *s, int dir, const char *tmp) {
        (void) unlinkat(dir, tmp, 0);
        (void) g_hash_table_remove(s->temporaries, tmp);
}
