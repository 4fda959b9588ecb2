/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One walk over the headers of an outer tar. */
#include "worker/archive-index.h"

#include <archive_entry.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "worker/archive-util.h"
#include "worker/entry-name.h"

#define LINKS_MAX 8U

struct member {
        struct extent extent;
        char *link; /* another member's clean name, or NULL */
};

struct archive_index {
        const struct source *source;
        GHashTable *members; /* clean name -> struct member */
};

static void member_free(gpointer p) {
        struct member *m = p;

        g_free(m->link);
        g_free(m);
}

struct archive_index *archive_index_free(struct archive_index *x) {
        if (x) {
                g_hash_table_unref(x->members);
                g_free(x);
        }
        return NULL;
}

/* docker save writes a layer it has written already as a link beside it: "../OTHER/layer.tar". */
static char *link_target(const char *name, const char *target) {
        g_autofree char *dir = g_path_get_dirname(name);
        g_autofree char *joined = g_build_filename("/", dir, target, NULL);
        g_autofree char *canonical = g_canonicalize_filename(joined, "/");

        return g_strdup(canonical + 1);
}

static int note_member(struct archive_index *x,
        struct archive *a,
        struct archive_entry *entry,
        const struct limits *limits,
        struct failure *f) {
        const char *raw = archive_entry_pathname(entry);
        g_autofree char *name = NULL;
        struct member *m;
        int r;

        if (!raw)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the archive holds an entry without a readable name");
        r = entry_name_clean(raw, limits, "archive entry", &name, f);
        if (r < 0)
                return r;
        if (archive_entry_filetype(entry) != AE_IFREG && archive_entry_filetype(entry) != AE_IFLNK &&
                !archive_entry_hardlink(entry))
                return 0;
        if (g_hash_table_size(x->members) >= LIMIT_ARCHIVE_MEMBERS)
                return failf(f, -E2BIG, FAILURE_LIMIT, "the archive holds more than %u files", LIMIT_ARCHIVE_MEMBERS);
        m = g_new0(struct member, 1);
        if (archive_entry_hardlink(entry))
                m->link = link_target("", archive_entry_hardlink(entry));
        else if (archive_entry_filetype(entry) == AE_IFLNK)
                m->link = link_target(name, archive_entry_symlink(entry) ?: "");
        else
                m->extent = (struct extent){
                        .offset = (uint64_t) archive_filter_bytes(a, 0),
                        .size = (uint64_t) archive_entry_size(entry),
                };
        g_hash_table_replace(x->members, g_steal_pointer(&name), m);
        return 0;
}

/* libarchive takes any zeros for an empty archive, and a cut off last member only shows when it is read. */
static int check_extents(struct archive_index *x, struct failure *f) {
        GHashTableIter it;
        gpointer name, value;

        g_hash_table_iter_init(&it, x->members);
        while (g_hash_table_iter_next(&it, &name, &value)) {
                const struct extent *e = &((struct member *) value)->extent;

                if (e->size > x->source->size || e->offset > x->source->size - e->size)
                        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the archive is cut off inside \"%.200s\"",
                                (const char *) name);
        }
        return 0;
}

static int walk(struct archive_index *x, struct archive_input *in, const struct limits *limits, struct failure *f) {
        g_autoptr(archive_reader) a = archive_util_tar();
        uint64_t entries = 0;

        if (lseek(in->fd, 0, SEEK_SET) < 0)
                return fail_errno(f, -errno, "rewinding the archive");
        if (!a || archive_input_open(in, a) < ARCHIVE_WARN)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "not a tar archive");
        for (;;) {
                struct archive_entry *entry;
                int r = archive_read_next_header(a, &entry);

                if (r == ARCHIVE_EOF)
                        return check_extents(x, f);
                if (r < ARCHIVE_WARN)
                        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the archive is damaged or cut off: %s",
                                archive_error_string(a) ?: "unknown error");
                if (++entries > limits->entries)
                        return failf(f, -E2BIG, FAILURE_LIMIT,
                                "the archive has more than %" PRIu64 " entries (limit \"entries\")", limits->entries);
                r = note_member(x, a, entry, limits, f);
                if (r < 0)
                        return r;
        }
}

int archive_index_new(
        const struct source *s, const struct limits *limits, struct archive_index **ret, struct failure *f) {
        struct archive_index *x = g_new0(struct archive_index, 1);
        struct archive_input in = {.fd = s->fd};
        int r;

        x->source = s;
        x->members = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, member_free);
        r = archive_input_end(&in, walk(x, &in, limits, f), "reading the archive", f);
        if (r < 0) {
                archive_index_free(x);
                return r;
        }
        *ret = x;
        return 0;
}

bool archive_index_find(const struct archive_index *x, const char *name, struct extent *ret) {
        const struct member *m = g_hash_table_lookup(x->members, name);

        for (unsigned i = 0; m && m->link; i++) {
                if (i == LINKS_MAX)
                        return false;
                m = g_hash_table_lookup(x->members, m->link);
        }
        if (m)
                *ret = m->extent;
        return m;
}

int archive_index_read(
        const struct archive_index *x, const char *name, uint64_t max, char **ret, size_t *ret_len, struct failure *f) {
        g_autofree char *buf = NULL;
        struct extent e;
        int r;

        if (!archive_index_find(x, name, &e))
                return failf(f, -ENOENT, FAILURE_UNSUPPORTED, "the archive has no file \"%.200s\"", name);
        if (e.size > max)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "\"%.200s\" has %" PRIu64 " bytes, more than %" PRIu64 " (limit \"manifest\")", name, e.size,
                        max);
        buf = g_malloc(e.size + 1);
        r = source_read(x->source, e.offset, buf, e.size);
        if (r < 0)
                return fail_errno(f, r, "reading the archive");
        buf[e.size] = 0;
        *ret = g_steal_pointer(&buf);
        *ret_len = e.size;
        return 0;
}
