/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the record of verified files: a table by inode, and lines in a file. */
#include "store/verified.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/atomic-file.h"
#include "shared/fd.h"
#include "shared/profile-path.h"

#define RECORD_BYTES_MAX (64U << 20)
#define LINE "%" PRIx64 " %" PRIx64 " %" PRIu64 " %" PRId64 " %" PRId64 " %64s\n"

typedef struct Key {
        uint64_t device, inode;
} Key;

typedef struct Entry {
        Key key;
        uint64_t size;
        int64_t mtime, ctime; /* nanoseconds */
        char hash[PROFILE_HASH_LENGTH + 1];
} Entry;

struct Verified {
        GHashTable *entries; /* Key (in the Entry) -> Entry */
        bool changed;
};

static guint key_hash(gconstpointer p) {
        const Key *k = p;

        return (guint) (k->inode ^ (k->inode >> 32) ^ k->device * 31);
}

static gboolean key_equal(gconstpointer a, gconstpointer b) {
        const Key *p = a, *q = b;

        return p->device == q->device && p->inode == q->inode;
}

static int64_t nanoseconds(const struct timespec *t) {
        return (int64_t) t->tv_sec * 1000000000 + t->tv_nsec;
}

static Entry entry_of(const struct stat *st, const char *hash) {
        Entry e = {.key = {st->st_dev, st->st_ino},
                .size = (uint64_t) st->st_size,
                .mtime = nanoseconds(&st->st_mtim),
                .ctime = nanoseconds(&st->st_ctim)};

        g_strlcpy(e.hash, hash, sizeof e.hash);
        return e;
}

static void insert(Verified *v, const Entry *e) {
        Entry *copy = g_new(Entry, 1);

        if (g_hash_table_size(v->entries) >= VERIFIED_MAX)
                g_hash_table_remove_all(v->entries);
        *copy = *e;
        (void) g_hash_table_replace(v->entries, &copy->key, copy);
        v->changed = true;
}

static void parse(Verified *v, const char *text) {
        for (const char *line = text; *line;) {
                const char *end = strchr(line, '\n');
                Entry e = {};

                if (!end || sscanf(line, LINE, &e.key.device, &e.key.inode, &e.size, &e.mtime, &e.ctime, e.hash) != 6 ||
                        !profile_hash_is_valid(e.hash))
                        return;
                insert(v, &e);
                line = end + 1;
        }
}

Verified *verified_load(int dir, const char *name) {
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        Verified *v = g_new0(Verified, 1);
        char *text = NULL;

        v->entries = g_hash_table_new_full(key_hash, key_equal, NULL, g_free);
        if (fd >= 0 && read_file(fd, RECORD_BYTES_MAX, &text, NULL) >= 0)
                parse(v, text);
        free(text);
        v->changed = false;
        return v;
}

Verified *verified_free(Verified *v) {
        if (!v)
                return NULL;
        g_hash_table_unref(v->entries);
        g_free(v);
        return NULL;
}

int verified_save(Verified *v, int dir, const char *name) {
        g_autoptr(GString) text = g_string_new(NULL);
        GHashTableIter iter;
        gpointer value;
        int r;

        if (!v->changed)
                return 0;
        g_hash_table_iter_init(&iter, v->entries);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const Entry *e = value;

                g_string_append_printf(text, LINE, e->key.device, e->key.inode, e->size, e->mtime, e->ctime, e->hash);
        }
        r = atomic_write(dir, name, text->str, text->len, 0600);
        if (r >= 0)
                v->changed = false;
        return r;
}

static bool is_same(const Entry *a, const Entry *b) {
        return a->size == b->size && a->mtime == b->mtime && a->ctime == b->ctime;
}

bool verified_matches(const Verified *v, const struct stat *st, const char *hash) {
        Entry e = entry_of(st, hash);
        const Entry *known = g_hash_table_lookup(v->entries, &e.key);

        return known && is_same(known, &e) && strcmp(known->hash, e.hash) == 0;
}

void verified_add(Verified *v, const struct stat *st, const char *hash) {
        Entry e = entry_of(st, hash);

        insert(v, &e);
}

void verified_forget(Verified *v, const struct stat *st) {
        Key key = {st->st_dev, st->st_ino};

        v->changed = g_hash_table_remove(v->entries, &key) || v->changed;
}

void verified_keep(Verified *v, const struct stat *before, const struct stat *after) {
        Entry e = entry_of(before, ""), now = entry_of(after, "");
        const Entry *known = g_hash_table_lookup(v->entries, &e.key);

        if (!known || !is_same(known, &e) || !key_equal(&e.key, &now.key) || e.size != now.size || e.mtime != now.mtime)
                return;
        g_strlcpy(now.hash, known->hash, sizeof now.hash);
        insert(v, &now);
}
