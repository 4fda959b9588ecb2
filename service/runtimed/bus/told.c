/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the memory of what was signalled: an open hash table in a memfd, which a daemon may leave at any point. */
#include "bus/told.h"

#include <errno.h>
#include <glib.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/fnv.h"
#include "shared/log.h"

#define TOLD_FD_NAME "told-1" /* another layout gets another name */

/* Of an object all entries begin their search at one place. path 0: empty. */
typedef struct Entry {
        uint64_t path, property, value;
} Entry;

struct Told {
        Entry *entries; /* TOLD_ENTRIES of them, mapped */
        unsigned used;
        bool fresh;
};

#define TOLD_BYTES (TOLD_ENTRIES * sizeof(Entry))
#define TOLD_USED_MAX (TOLD_ENTRIES / 8 * 7)

/* Never 0. */
static uint64_t hash(const char *text) {
        return fnv1a(FNV1A_BEGIN, text) ?: 1;
}

static unsigned home_of(uint64_t path) {
        return (unsigned) (path % TOLD_ENTRIES);
}

static unsigned after(unsigned i) {
        return (i + 1) % TOLD_ENTRIES;
}

/* A memfd of the right size: that of the last daemon, or a new one. */
static int get_memory(FdStore *store, bool *ret_fresh) {
        _cleanup_close_ int fd = fd_store_take(store, TOLD_FD_NAME);
        struct stat st;
        int r;

        if (fd >= 0 && fstat(fd, &st) >= 0 && st.st_size == (off_t) TOLD_BYTES)
                return take_fd(&fd);
        *ret_fresh = true;
        (void) close_fd(fd);
        fd = memfd_create(TOLD_FD_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0 || ftruncate(fd, TOLD_BYTES) < 0)
                return -errno;
        r = fd_store_put(store, TOLD_FD_NAME, fd);
        return r < 0 ? r : take_fd(&fd);
}

Told *told_new(FdStore *store) {
        bool fresh = false;
        _cleanup_close_ int fd = get_memory(store, &fresh);
        void *p = fd < 0 ? MAP_FAILED : mmap(NULL, TOLD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        Told *t;

        if (p == MAP_FAILED) {
                log_warning("after a restart subscribers may be told once more what they know: %s",
                        g_strerror(fd < 0 ? -fd : errno));
                return NULL;
        }
        t = g_new(Told, 1);
        *t = (Told){.entries = p, .fresh = fresh};
        for (unsigned i = 0; i < TOLD_ENTRIES; i++)
                t->used += t->entries[i].path != 0;
        return t;
}

Told *told_free(Told *t) {
        if (!t)
                return NULL;
        (void) munmap(t->entries, TOLD_BYTES);
        g_free(t);
        return NULL;
}

/* The entry, or the empty one where it belongs. There is an empty one always. */
static Entry *find(const Told *t, uint64_t path, uint64_t property) {
        unsigned i = home_of(path);

        while (t->entries[i].path != 0 && (t->entries[i].path != path || t->entries[i].property != property))
                i = after(i);
        return &t->entries[i];
}

void told_set(Told *t, const char *path, const char *property, const char *value) {
        uint64_t p = hash(path), q = hash(property);
        Entry *e = t ? find(t, p, q) : NULL;

        if (!e || (e->path == 0 && t->used >= TOLD_USED_MAX))
                return;
        e->value = hash(value);
        if (e->path != 0)
                return;
        e->property = q;
        e->path = p; /* last: it is there, or not */
        t->used++;
}

ToldAnswer told_ask(const Told *t, const char *path, const char *property, const char *value) {
        const Entry *e = t ? find(t, hash(path), hash(property)) : NULL;

        if (!e || e->path == 0)
                return TOLD_NOT;
        return e->value == hash(value) ? TOLD_SAME : TOLD_OTHER;
}

bool told_knows(const Told *t, const char *path) {
        uint64_t p = hash(path);
        unsigned i = home_of(p);

        while (t && t->entries[i].path != 0 && t->entries[i].path != p)
                i = after(i);
        return t && t->entries[i].path != 0;
}

bool told_is_fresh(const Told *t) {
        return !t || t->fresh;
}

/* Takes entry i away; those behind it whose search comes by here move up. */
static void remove_entry(Told *t, unsigned i) {
        for (unsigned j = after(i); t->entries[j].path != 0; j = after(j)) {
                unsigned distance = (j + TOLD_ENTRIES - home_of(t->entries[j].path)) % TOLD_ENTRIES;

                if (distance >= (j + TOLD_ENTRIES - i) % TOLD_ENTRIES) {
                        t->entries[i] = t->entries[j];
                        i = j;
                }
        }
        t->entries[i] = (Entry){};
        t->used--;
}

void told_forget(Told *t, const char *path) {
        uint64_t p = hash(path);

        if (!t)
                return;
        for (unsigned i = home_of(p); t->entries[i].path != 0;)
                if (t->entries[i].path == p)
                        remove_entry(t, i); /* another one may be here now */
                else
                        i = after(i);
}
