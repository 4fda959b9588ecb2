/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the state directory: names, atomic writes, temporary files. Knows nothing of what records mean. */
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/name.h"
#include "model/record.h"
#include "shared/atomic-file.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "store/store-private.h"

#define META "meta.json"

static int open_dir(int dir, const char *name) {
        int fd;

        if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

static bool is_temporary(const char *name) {
        return g_str_has_prefix(name, ATOMIC_TMP_PREFIX);
}

typedef void (*EntryFound)(int dir, const char *name, void *userdata);

static void for_each_entry(int dir, EntryFound found, void *userdata) {
        int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;

        if (!d) {
                (void) close_fd(fd);
                return;
        }
        while ((e = readdir(d)))
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        found(dir, e->d_name, userdata);
        (void) closedir(d);
}

static void remove_file(int dir, const char *name, void *userdata) {
        (void) unlinkat(dir, name, 0);
}

/* The directories here are two levels deep and hold plain files. */
static void remove_directory(int dir, const char *name) {
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd >= 0)
                for_each_entry(fd, remove_file, NULL);
        (void) unlinkat(dir, name, AT_REMOVEDIR);
}

struct cleaning {
        Store *store;
        unsigned removed;
};

static void clean_entry(int dir, const char *name, void *userdata) {
        struct cleaning *c = userdata;

        if (!is_temporary(name) || g_hash_table_contains(c->store->temporaries, name))
                return;
        if (unlinkat(dir, name, 0) < 0 && errno == EISDIR)
                remove_directory(dir, name);
        c->removed++;
}

static void clean_subdirectory(int dir, const char *name, void *userdata) {
        _cleanup_close_ int fd = -1;

        clean_entry(dir, name, userdata);
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0)
                for_each_entry(fd, clean_entry, userdata);
}

unsigned store_clean(Store *s) {
        struct cleaning c = {.store = s};

        for_each_entry(s->vms, clean_subdirectory, &c);
        for_each_entry(s->images, clean_subdirectory, &c);
        for_each_entry(s->disks, clean_subdirectory, &c);
        for_each_entry(s->cache, clean_entry, &c);
        for_each_entry(s->networks, clean_entry, &c);
        for_each_entry(s->jobs, clean_entry, &c);
        return c.removed;
}

int store_open(const char *path, Store **ret) {
        _cleanup_close_ int root = -1;
        Store *s;

        root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return -errno;
        s = g_new(Store, 1);
        s->temporaries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        s->vms = open_dir(root, "vms");
        s->images = open_dir(root, "images");
        s->cache = open_dir(root, "cache");
        s->disks = open_dir(root, "disks");
        s->networks = open_dir(root, "networks");
        s->jobs = s->cache < 0 ? s->cache : open_dir(s->cache, "jobs");
        if (s->vms < 0 || s->images < 0 || s->cache < 0 || s->networks < 0 || s->jobs < 0 || s->disks < 0) {
                int r = MIN(MIN(s->jobs, s->disks), MIN(MIN(s->vms, s->networks), MIN(s->images, s->cache)));

                (void) store_free(s);
                return r;
        }
        (void) store_clean(s);
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

static int load_text(int dir, const char *name, char **ret, size_t *ret_len) {
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

        return fd < 0 ? -errno : read_file(fd, RECORD_BYTES_MAX, ret, ret_len);
}

static int save_json(int dir, const char *name, json_t *object) {
        char *text = json_dumps(object, JSON_INDENT(2) | JSON_SORT_KEYS);
        int r;

        if (!text)
                return -ENOMEM;
        r = atomic_write(dir, name, text, strlen(text), 0600);
        free(text);
        return r;
}

/* ---- VMs ---- */

static void collect_vm(int dir, const char *name, void *userdata) {
        if (vm_name_is_valid(name))
                g_ptr_array_add(userdata, g_strdup(name));
}

GPtrArray *store_vm_names(Store *s) {
        GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

        for_each_entry(s->vms, collect_vm, names);
        return names;
}

static int open_vm(Store *s, const char *name) {
        int fd = openat(s->vms, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        return fd < 0 ? -errno : fd;
}

int store_vm_load(Store *s, const char *name, char **ret, size_t *ret_len) {
        _cleanup_close_ int dir = open_vm(s, name);

        return dir < 0 ? dir : load_text(dir, META, ret, ret_len);
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

static bool is_saved(int dir, const char *name, json_t *object) {
        json_t *saved = NULL;
        char *text = NULL;
        size_t len;
        bool same;

        if (load_text(dir, name, &text, &len) >= 0)
                saved = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        same = json_is_object(saved) && is_part_of(saved, object);
        json_decref(saved);
        free(text);
        return same;
}

bool store_vm_is_saved(Store *s, const char *name, json_t *record) {
        _cleanup_close_ int dir = open_vm(s, name);

        return dir >= 0 && is_saved(dir, META, record);
}

int store_vm_save(Store *s, const char *name, json_t *record) {
        _cleanup_close_ int dir = open_vm(s, name);

        if (dir == -ENOENT) {
                dir = open_dir(s->vms, name);
                if (dir >= 0 && fsync(s->vms) < 0)
                        return -errno;
                CRASH_POINT(CREATE_DIRECTORY);
        }
        return dir < 0 ? dir : save_json(dir, META, record);
}

int store_vm_remove(Store *s, const char *name) {
        g_autofree char *tmp = g_strdup_printf(ATOMIC_TMP_PREFIX "gone-%s", name);

        if (renameat(s->vms, name, s->vms, tmp) < 0)
                return errno == ENOENT ? 0 : -errno;
        (void) fsync(s->vms); /* it has no name any more, whatever a failing disk says */
        CRASH_POINT(REMOVE_RENAMED);
        remove_directory(s->vms, tmp);
        CRASH_POINT(REMOVE_FILES);
        return 0;
}

int store_vm_remove_empty(Store *s, const char *name) {
        return unlinkat(s->vms, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int store_vm_open(Store *s, const char *name, const char *file, int flags) {
        _cleanup_close_ int dir = open_vm(s, name);
        int fd;

        if (dir < 0)
                return dir;
        fd = openat(dir, file, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? -errno : fd;
}

int store_vm_put(Store *s, const char *name, const char *file, const void *data, size_t len, mode_t mode) {
        _cleanup_close_ int dir = open_vm(s, name);

        return dir < 0 ? dir : atomic_write(dir, file, data, len, mode);
}

/* ---- Images ---- */

static int open_owner(Store *s, uint32_t owner, bool create) {
        char name[16];
        int fd;

        (void) snprintf(name, sizeof name, "%" PRIu32, owner);
        if (create)
                return open_dir(s->images, name);
        fd = openat(s->images, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

/* What belongs to an image beside its record. */
static const char *const image_suffixes[] = {".squashfs", ".oci"};

static void unlink_image_files(int dir, const char *hex) {
        for (size_t i = 0; i < G_N_ELEMENTS(image_suffixes); i++) {
                g_autofree char *name = g_strconcat(hex, image_suffixes[i], NULL);

                (void) unlinkat(dir, name, 0);
        }
}

struct image_walk {
        StoreImageFound each;
        void *userdata;
        uint32_t owner;
        GHashTable *roots, *records; /* hex */
        unsigned dropped;            /* root images without a record */
};

static void walk_image(int dir, const char *name, void *userdata) {
        struct image_walk *w = userdata;
        g_autofree char *hex = NULL;
        char *text = NULL;
        size_t len;

        for (size_t i = 0; i < G_N_ELEMENTS(image_suffixes); i++)
                if (g_str_has_suffix(name, image_suffixes[i]))
                        (void) g_hash_table_add(w->roots, g_strndup(name, strlen(name) - strlen(image_suffixes[i])));
        if (!g_str_has_suffix(name, ".json"))
                return;
        hex = g_strndup(name, strlen(name) - strlen(".json"));
        (void) g_hash_table_add(w->records, g_strdup(hex));
        if (w->each && load_text(dir, name, &text, &len) >= 0)
                w->each(w->owner, hex, text, len, w->userdata);
        free(text);
}

/* A root image whose record was never written is half an import. */
static void drop_orphans(int dir, struct image_walk *w) {
        GHashTableIter iter;
        gpointer hex;

        g_hash_table_iter_init(&iter, w->roots);
        while (g_hash_table_iter_next(&iter, &hex, NULL))
                if (!g_hash_table_contains(w->records, hex)) {
                        unlink_image_files(dir, hex);
                        w->dropped++;
                }
}

static void walk_owner(int dir, const char *name, void *userdata) {
        struct image_walk *w = userdata;
        _cleanup_close_ int fd = -1;
        guint64 owner;

        if (!g_ascii_string_to_unsigned(name, 10, 0, UINT32_MAX, &owner, NULL))
                return;
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return;
        w->owner = (uint32_t) owner;
        w->roots = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        w->records = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for_each_entry(fd, walk_image, w);
        drop_orphans(fd, w);
        g_hash_table_unref(w->roots);
        g_hash_table_unref(w->records);
}

unsigned store_images_load(Store *s, StoreImageFound each, void *userdata) {
        struct image_walk walk = {.each = each, .userdata = userdata};

        for_each_entry(s->images, walk_owner, &walk);
        return walk.dropped;
}

int store_image_save(Store *s, uint32_t owner, const char *hex, json_t *record) {
        _cleanup_close_ int dir = open_owner(s, owner, true);
        g_autofree char *name = g_strdup_printf("%s.json", hex);

        return dir < 0 ? dir : save_json(dir, name, record);
}

bool store_image_is_saved(Store *s, uint32_t owner, const char *hex, json_t *record) {
        _cleanup_close_ int dir = open_owner(s, owner, false);
        g_autofree char *name = g_strdup_printf("%s.json", hex);

        return dir >= 0 && is_saved(dir, name, record);
}

static int open_image_file(Store *s, uint32_t owner, const char *hex, const char *suffix) {
        _cleanup_close_ int dir = open_owner(s, owner, false);
        g_autofree char *name = g_strconcat(hex, suffix, NULL);
        int fd;

        if (dir < 0)
                return dir;
        fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

int store_image_open(Store *s, uint32_t owner, const char *hex) {
        return open_image_file(s, owner, hex, ".squashfs");
}

int store_image_open_archive(Store *s, uint32_t owner, const char *hex) {
        return open_image_file(s, owner, hex, ".oci");
}

void store_image_drop_archive(Store *s, uint32_t owner, const char *hex) {
        _cleanup_close_ int dir = open_owner(s, owner, false);
        g_autofree char *name = g_strconcat(hex, ".oci", NULL);

        if (dir >= 0)
                (void) unlinkat(dir, name, 0);
}

/* Only when it is empty. */
static void drop_owner(Store *s, uint32_t owner) {
        char uid[16];

        (void) snprintf(uid, sizeof uid, "%" PRIu32, owner);
        (void) unlinkat(s->images, uid, AT_REMOVEDIR);
}

int store_image_remove(Store *s, uint32_t owner, const char *hex) {
        _cleanup_close_ int dir = open_owner(s, owner, false);
        g_autofree char *record = g_strdup_printf("%s.json", hex);

        if (dir < 0)
                return dir == -ENOENT ? 0 : dir;
        /* The record first: a root image without one is removed at the next start. */
        if ((unlinkat(dir, record, 0) < 0 && errno != ENOENT))
                return -errno;
        CRASH_POINT(IMAGE_UNRECORDED);
        unlink_image_files(dir, hex);
        drop_owner(s, owner);
        return 0;
}

/* ---- Networks ---- */

struct network_walk {
        StoreNetworkFound each;
        void *userdata;
};

static void walk_network(int dir, const char *name, void *userdata) {
        struct network_walk *w = userdata;
        g_autofree char *stem = NULL;
        char *text = NULL;
        size_t len;

        if (is_temporary(name) || !g_str_has_suffix(name, ".json") || load_text(dir, name, &text, &len) < 0)
                return;
        stem = g_strndup(name, strlen(name) - strlen(".json"));
        w->each(stem, text, len, w->userdata);
        free(text);
}

void store_networks_load(Store *s, StoreNetworkFound each, void *userdata) {
        struct network_walk walk = {each, userdata};

        for_each_entry(s->networks, walk_network, &walk);
}

int store_network_save(Store *s, const char *name, json_t *record) {
        g_autofree char *file = g_strdup_printf("%s.json", name);

        return save_json(s->networks, file, record);
}

bool store_network_is_saved(Store *s, const char *name, json_t *record) {
        g_autofree char *file = g_strdup_printf("%s.json", name);

        return is_saved(s->networks, file, record);
}

int store_network_remove(Store *s, const char *name) {
        g_autofree char *file = g_strdup_printf("%s.json", name);

        if (unlinkat(s->networks, file, 0) < 0 && errno != ENOENT)
                return -errno;
        return fsync(s->networks) < 0 ? -errno : 0;
}

/* ---- Jobs ---- */

struct job_walk {
        StoreJobFound each;
        void *userdata;
};

static void walk_job(int dir, const char *name, void *userdata) {
        struct job_walk *w = userdata;
        g_autofree char *stem = NULL;
        char *text = NULL;
        guint64 id;
        size_t len;

        if (is_temporary(name) || !g_str_has_suffix(name, ".json"))
                return;
        stem = g_strndup(name, strlen(name) - strlen(".json"));
        if (!g_ascii_string_to_unsigned(stem, 10, 1, UINT32_MAX, &id, NULL))
                return;
        if (load_text(dir, name, &text, &len) < 0)
                len = 0;
        w->each(text ?: "", len, (uint32_t) id, w->userdata);
        free(text);
}

void store_jobs_load(Store *s, StoreJobFound each, void *userdata) {
        struct job_walk walk = {each, userdata};

        for_each_entry(s->jobs, walk_job, &walk);
}

int store_job_save(Store *s, uint32_t id, json_t *record) {
        g_autofree char *name = g_strdup_printf("%" PRIu32 ".json", id);
        char *text;
        int r;

        if (!s) /* jobs on their own, without a store: nobody comes after */
                return 0;
        text = json_dumps(record, JSON_COMPACT);
        if (!text)
                return -ENOMEM;
        r = atomic_replace(s->jobs, name, text, strlen(text), 0600);
        free(text);
        return r;
}

void store_job_remove(Store *s, uint32_t id) {
        g_autofree char *name = g_strdup_printf("%" PRIu32 ".json", id);

        if (s)
                (void) unlinkat(s->jobs, name, 0);
}

/* ---- Files for workers ---- */

static int create_temporary(Store *s, int dir, char **ret_name) {
        g_autofree char *uuid = g_uuid_string_random(), *name = g_strconcat(ATOMIC_TMP_PREFIX, uuid, NULL);
        int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return -errno;
        (void) g_hash_table_add(s->temporaries, g_strdup(name));
        *ret_name = g_steal_pointer(&name);
        return fd;
}

static int commit_temporary(Store *s, int dir, const char *tmp, const char *name, mode_t mode) {
        if (fchmodat(dir, tmp, mode, 0) < 0 || renameat(dir, tmp, dir, name) < 0)
                return -errno;
        (void) g_hash_table_remove(s->temporaries, tmp);
        return fsync(dir) < 0 ? -errno : 0;
}

static void discard_temporary(Store *s, int dir, const char *tmp) {
        (void) unlinkat(dir, tmp, 0);
        (void) g_hash_table_remove(s->temporaries, tmp);
}

int store_image_create(Store *s, uint32_t owner, char **ret_name) {
        _cleanup_close_ int dir = open_owner(s, owner, true);

        return dir < 0 ? dir : create_temporary(s, dir, ret_name);
}

int store_image_part_open(Store *s, uint32_t owner, const char *name) {
        _cleanup_close_ int dir = open_owner(s, owner, false);
        int fd;

        if (dir < 0)
                return dir;
        fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

int store_image_reopen(Store *s, uint32_t owner, const char *tmp) {
        return store_image_part_open(s, owner, tmp);
}

int store_image_part_commit(Store *s, uint32_t owner, const char *tmp, const char *name) {
        _cleanup_close_ int dir = open_owner(s, owner, false);

        return dir < 0 ? dir : commit_temporary(s, dir, tmp, name, 0400);
}

static int commit_image_file(
        Store *s, uint32_t owner, const char *tmp, const char *hex, const char *suffix, mode_t mode) {
        _cleanup_close_ int dir = open_owner(s, owner, false);
        g_autofree char *name = g_strconcat(hex, suffix, NULL);

        return dir < 0 ? dir : commit_temporary(s, dir, tmp, name, mode);
}

/* For others, because a unit of ExportUnit shows the file to a user of its own; the directories are closed to them. */
int store_image_commit(Store *s, uint32_t owner, const char *tmp, const char *hex) {
        return commit_image_file(s, owner, tmp, hex, ".squashfs", 0444);
}

int store_image_commit_archive(Store *s, uint32_t owner, const char *tmp, const char *hex) {
        return commit_image_file(s, owner, tmp, hex, ".oci", 0400);
}

void store_image_discard(Store *s, uint32_t owner, const char *tmp) {
        _cleanup_close_ int dir = open_owner(s, owner, false);

        if (dir >= 0)
                discard_temporary(s, dir, tmp);
        drop_owner(s, owner);
}

int store_cache_create(Store *s, char **ret_name) {
        return create_temporary(s, s->cache, ret_name);
}

/* QEMU opens the initrd again through /proc/self/fd as another user, hence the mode; the directory is closed to others.
 */
int store_cache_commit(Store *s, const char *tmp, const char *key) {
        return commit_temporary(s, s->cache, tmp, key, 0444);
}

void store_cache_discard(Store *s, const char *tmp) {
        discard_temporary(s, s->cache, tmp);
}

int store_cache_open(Store *s, const char *key) {
        int fd = openat(s->cache, key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

        return fd < 0 ? -errno : fd;
}

struct cache_walk {
        StoreCacheFound each;
        void *userdata;
};

static void walk_cache(int dir, const char *name, void *userdata) {
        struct cache_walk *w = userdata;

        if (!is_temporary(name))
                w->each(name, w->userdata);
}

void store_cache_list(Store *s, StoreCacheFound each, void *userdata) {
        for_each_entry(s->cache, walk_cache, &(struct cache_walk){each, userdata});
}

int64_t store_cache_remove(Store *s, const char *name) {
        struct stat st;

        if (fstatat(s->cache, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || unlinkat(s->cache, name, 0) < 0)
                return -errno;
        return st.st_size;
}

json_t *store_fact_load(Store *s, const char *name) {
        char *text = NULL;
        json_t *fact = NULL;
        size_t len;

        if (load_text(s->cache, name, &text, &len) >= 0)
                fact = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        free(text);
        return fact;
}

int store_fact_save(Store *s, const char *name, json_t *fact) {
        return save_json(s->cache, name, fact);
}

int store_vm_create(Store *s, const char *name, char **ret_tmp) {
        _cleanup_close_ int dir = open_vm(s, name);

        return dir < 0 ? dir : create_temporary(s, dir, ret_tmp);
}

int store_vm_commit(Store *s, const char *name, const char *tmp, const char *file) {
        _cleanup_close_ int dir = open_vm(s, name);

        return dir < 0 ? dir : commit_temporary(s, dir, tmp, file, 0400);
}

void store_vm_discard(Store *s, const char *name, const char *tmp) {
        _cleanup_close_ int dir = open_vm(s, name);

        if (dir >= 0)
                discard_temporary(s, dir, tmp);
}

uint64_t store_vm_size(Store *s, const char *name, const char *file) {
        _cleanup_close_ int dir = open_vm(s, name);
        struct stat st;

        return dir >= 0 && fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t) st.st_size : 0;
}

int store_vm_unlink(Store *s, const char *name, const char *file) {
        _cleanup_close_ int dir = open_vm(s, name);

        if (dir < 0)
                return dir == -ENOENT ? 0 : dir;
        return unlinkat(dir, file, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* ---- For the store's other files ---- */

int store_subdirectory(int dir, const char *name) {
        return open_dir(dir, name);
}

void store_each_entry(int dir, void (*each)(int dir, const char *name, void *userdata), void *userdata) {
        for_each_entry(dir, each, userdata);
}

int store_temporary_create(Store *s, int dir, char **ret_name) {
        return create_temporary(s, dir, ret_name);
}

int store_temporary_commit(Store *s, int dir, const char *tmp, const char *name, mode_t mode) {
        return commit_temporary(s, dir, tmp, name, mode);
}

void store_temporary_discard(Store *s, int dir, const char *tmp) {
        discard_temporary(s, dir, tmp);
}
