/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns images/UID: records of images, their roots and the archives that are kept of them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/log.h"
#include "store/store-private.h"

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
        if (w->each && store_text_load(dir, name, &text, &len) >= 0)
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
                        log_notice("the image file %s has no record, and is removed", (const char *) hex);
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
        fd = store_file_open(dir, name, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return;
        w->owner = (uint32_t) owner;
        w->roots = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        w->records = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        store_each_entry(fd, walk_image, w);
        drop_orphans(fd, w);
        g_hash_table_unref(w->roots);
        g_hash_table_unref(w->records);
}

unsigned store_images_load(Store *s, StoreImageFound each, void *userdata) {
        struct image_walk walk = {.each = each, .userdata = userdata};

        store_each_entry(s->images, walk_owner, &walk);
        return walk.dropped;
}

int store_image_save(Store *s, uint32_t owner, const char *hex, json_t *record) {
        _cleanup_close_ int dir = store_owner_make(s->images, owner);
        g_autofree char *name = g_strdup_printf("%s.json", hex);

        return dir < 0 ? dir : store_record_save(dir, name, record);
}

bool store_image_is_saved(Store *s, uint32_t owner, const char *hex, json_t *record) {
        _cleanup_close_ int dir = store_owner_open(s->images, owner);
        g_autofree char *name = g_strdup_printf("%s.json", hex);

        return dir >= 0 && store_record_is_saved(dir, name, record);
}

static int open_image_file(Store *s, uint32_t owner, const char *hex, const char *suffix) {
        _cleanup_close_ int dir = store_owner_open(s->images, owner);
        g_autofree char *name = g_strconcat(hex, suffix, NULL);

        return store_file_open(dir, name, O_RDONLY);
}

int store_image_open(Store *s, uint32_t owner, const char *hex) {
        return open_image_file(s, owner, hex, ".squashfs");
}

int store_image_open_archive(Store *s, uint32_t owner, const char *hex) {
        return open_image_file(s, owner, hex, ".oci");
}

void store_image_drop_archive(Store *s, uint32_t owner, const char *hex) {
        _cleanup_close_ int dir = store_owner_open(s->images, owner);
        g_autofree char *name = g_strconcat(hex, ".oci", NULL);

        if (dir >= 0)
                (void) unlinkat(dir, name, 0);
}

int store_image_remove(Store *s, uint32_t owner, const char *hex) {
        _cleanup_close_ int dir = store_owner_open(s->images, owner);
        g_autofree char *record = g_strdup_printf("%s.json", hex);

        if (dir < 0)
                return dir == -ENOENT ? 0 : dir;
        /* The record first: a root image without one is removed at the next start. */
        if ((unlinkat(dir, record, 0) < 0 && errno != ENOENT))
                return -errno;
        CRASH_POINT(IMAGE_UNRECORDED);
        unlink_image_files(dir, hex);
        store_owner_drop(s->images, owner);
        return 0;
}

int store_image_create(Store *s, uint32_t owner, char **ret_name) {
        _cleanup_close_ int dir = store_owner_make(s->images, owner);

        return dir < 0 ? dir : store_temporary_create(s, dir, ret_name);
}

int store_image_part_open(Store *s, uint32_t owner, const char *name) {
        _cleanup_close_ int dir = store_owner_open(s->images, owner);

        return store_file_open(dir, name, O_RDONLY);
}

int store_image_part_commit(Store *s, uint32_t owner, const char *tmp, const char *name) {
        _cleanup_close_ int dir = store_owner_open(s->images, owner);

        return dir < 0 ? dir : store_temporary_commit(s, dir, tmp, name, 0400);
}

static int commit_image_file(
        Store *s, uint32_t owner, const char *tmp, const char *hex, const char *suffix, mode_t mode) {
        _cleanup_close_ int dir = store_owner_open(s->images, owner);
        g_autofree char *name = g_strconcat(hex, suffix, NULL);

        return dir < 0 ? dir : store_temporary_commit(s, dir, tmp, name, mode);
}

/* For others, because a unit of ExportUnit shows the file to a user of its own; the directories are closed to them. */
int store_image_commit(Store *s, uint32_t owner, const char *tmp, const char *hex) {
        return commit_image_file(s, owner, tmp, hex, ".squashfs", 0444);
}

int store_image_commit_archive(Store *s, uint32_t owner, const char *tmp, const char *hex) {
        return commit_image_file(s, owner, tmp, hex, ".oci", 0400);
}

void store_image_discard(Store *s, uint32_t owner, const char *tmp) {
        _cleanup_close_ int dir = store_owner_open(s->images, owner);

        if (dir >= 0)
                store_temporary_discard(s, dir, tmp);
        store_owner_drop(s->images, owner);
}
