/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Entries of a layer's tar: checked, counted, put into the tree, their data streamed into the image. */
#include "worker/layer.h"

#include <archive_entry.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "worker/entry-name.h"
#include "worker/layer-stream.h"

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_META ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

/* Bytes all tars may have together: their files, what is read twice, and room for headers. */
#define UNPACKED_MAX(limits) (2 * (limits)->bytes + ((uint64_t) 1 << 30))

/* One reading of one layer. */
struct reading {
        struct merge *m;
        struct layer_stream *stream;
        unsigned number;
        bool again; /* for files that hard links wait for, and nothing else */
};

static int refuse(struct failure *f, const char *path, const char *why) {
        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "layer entry \"%.200s\": %s", path, why);
}

/* The verdict of the tree in words. */
int merge_tree_failed(struct merge *m, int r, const char *path, struct failure *f) {
        switch (r) {
        case -E2BIG:
                if (tree_size(m->tree) >= m->limits->entries)
                        return failf(f, r, FAILURE_LIMIT,
                                "the image has more than %" PRIu64 " names (limit \"entries\")", m->limits->entries);
                return failf(f, r, FAILURE_LIMIT, "names and links of the image need more than %zu MiB",
                        TREE_BYTES_MAX >> 20);
        case -ENOTDIR:
                return refuse(f, path, "its directory is a file in the same layer");
        case -EISDIR:
                return refuse(f, path, "a hard link to a directory, or a root that is none");
        case -ELOOP:
                return refuse(f, path, "a hard link to itself");
        default:
                return r < 0 ? fail_errno(f, r, "merging a layer") : r;
        }
}

static int count_bytes(struct merge *m, uint64_t size, const char *path, struct failure *f) {
        if (size > LIMIT_FILE_BYTES)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "layer entry \"%.200s\" has %" PRIu64 " bytes; a file may have %llu", path, size,
                        LIMIT_FILE_BYTES);
        if (size > m->limits->bytes - m->bytes)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "with layer entry \"%.200s\" (%" PRIu64 " bytes) the image has more than %" PRIu64
                        " bytes (limit \"bytes\")",
                        path, size, m->limits->bytes);
        m->bytes += size;
        return 0;
}

static bool xattr_is_kept(const char *name) {
        return strcmp(name, "security.capability") == 0 || g_str_has_prefix(name, "user.");
}

static int add_xattr(
        struct merge *m, const char *path, const char *name, const void *value, size_t size, struct failure *f) {
        size_t name_len = strlen(name);

        if (name_len > m->limits->name || size > LIMIT_XATTR_VALUE)
                return refuse(f, path, "an extended attribute is too large");
        m->xattr_bytes += name_len + size;
        if (m->xattr_bytes > LIMIT_XATTR_BYTES)
                return failf(f, -E2BIG, FAILURE_LIMIT, "the image has more than %llu bytes of extended attributes",
                        LIMIT_XATTR_BYTES);
        return image_writer_xattr_add(m->writer, name, value, size, f);
}

static int set_xattrs(
        struct merge *m, const char *path, struct archive_entry *entry, struct tree_inode *inode, struct failure *f) {
        const char *name;
        const void *value;
        size_t size;
        int r;

        if (archive_entry_xattr_reset(entry) == 0)
                return 0;
        r = image_writer_xattr_begin(m->writer, f);
        while (r >= 0 && archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
                if (!name || !xattr_is_kept(name))
                        m->dropped_xattrs++;
                else
                        r = add_xattr(m, path, name, value, size, f);
        }
        return r >= 0 ? image_writer_xattr_end(m->writer, &inode->xattr, f) : r;
}

/* Where a block of data lies must fit between what came and the size that was announced. */
static int copy_block(struct merge *m, const char *path, const void *block, size_t len, uint64_t offset, uint64_t size,
        uint64_t *at, struct failure *f) {
        int r;

        if (offset < *at || offset > size || len > size - offset)
                return refuse(f, path, "its data does not fit its size");
        r = image_writer_append_zeros(m->writer, offset - *at, f);
        if (r >= 0)
                r = image_writer_append(m->writer, block, len, f);
        *at = offset + len;
        return r;
}

static int copy_data(
        struct reading *g, struct archive_entry *entry, const char *path, struct tree_inode *inode, struct failure *f) {
        uint64_t start = layer_stream_position(g->stream), size = (uint64_t) archive_entry_size(entry), at = 0;
        struct merge *m = g->m;
        int r;

        r = image_writer_begin(m->writer, inode, f);
        while (r >= 0) {
                const void *block;
                size_t len;
                la_int64_t offset;
                int a = archive_read_data_block(g->stream->tar, &block, &len, &offset);

                if (a == ARCHIVE_EOF)
                        break;
                if (a < ARCHIVE_WARN)
                        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED,
                                "the layer is damaged or cut off inside \"%.200s\": %s", path,
                                layer_stream_error(g->stream));
                r = copy_block(m, path, block, len, (uint64_t) offset, size, &at, f);
                job_progress(m->job, (double) m->blob_bytes / (double) MAX(m->blob_total, 1U), "layers");
        }
        if (r >= 0 && archive_entry_sparse_count(entry) == 0 && layer_stream_invented(g->stream, start, size))
                return refuse(f, path, "the layer is cut off inside it");
        if (r >= 0)
                r = image_writer_append_zeros(m->writer, size - at, f);
        return r >= 0 ? image_writer_end(m->writer, f) : r;
}

static int check_id(const char *path, la_int64_t id, uint32_t *ret, struct failure *f) {
        if (id < 0 || id > UINT32_MAX)
                return refuse(f, path, "its owner is no 32-bit number");
        *ret = (uint32_t) id;
        return 0;
}

static int read_attributes(struct archive_entry *entry, const char *path, struct tree_inode *ret, struct failure *f) {
        mode_t type = archive_entry_filetype(entry);
        time_t mtime = archive_entry_mtime(entry);
        int r;

        if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK && type != AE_IFCHR && type != AE_IFBLK &&
                type != AE_IFIFO && type != AE_IFSOCK)
                return refuse(f, path, "a type that is no file, directory, link, device, FIFO or socket");
        *ret = (struct tree_inode){
                .mode = type | (archive_entry_perm(entry) & 07777U),
                .mtime = (uint32_t) CLAMP(mtime, 0, (time_t) UINT32_MAX),
                .xattr = TREE_NO_XATTR,
        };
        if (type == AE_IFCHR || type == AE_IFBLK)
                ret->device = image_device((unsigned) archive_entry_rdevmajor(entry) & 0xfffU,
                        (unsigned) archive_entry_rdevminor(entry) & 0xfffffU);
        r = check_id(path, archive_entry_uid(entry), &ret->uid, f);
        return r >= 0 ? check_id(path, archive_entry_gid(entry), &ret->gid, f) : r;
}

static int check_target(const char *path, const char *target, struct failure *f) {
        if (!target || !*target)
                return refuse(f, path, "a symbolic link without a target");
        if (strlen(target) > LIMIT_LINK_TARGET)
                return failf(f, -E2BIG, FAILURE_LIMIT, "layer entry \"%.200s\": a link target has more than %u bytes",
                        path, LIMIT_LINK_TARGET);
        return 0;
}

static int read_whiteout(struct reading *g, const char *path, const char *base, struct failure *f) {
        g_autofree char *dir = base > path ? g_strndup(path, (gsize) (base - path - 1)) : g_strdup("");
        g_autofree char *hidden = NULL;
        const char *name = base + strlen(WHITEOUT_PREFIX);
        int r;

        if (g->again)
                return 0;
        if (strcmp(base, WHITEOUT_OPAQUE) == 0)
                r = tree_opaque(g->m->tree, g->number, dir);
        else if (g_str_has_prefix(base, WHITEOUT_META))
                return 0; /* bookkeeping of aufs, which no image means */
        else {
                if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                        return refuse(f, path, "a whiteout of no name");
                hidden = *dir ? g_strconcat(dir, "/", name, NULL) : g_strdup(name);
                r = tree_whiteout(g->m->tree, g->number, hidden);
        }
        return merge_tree_failed(g->m, r, path, f);
}

/* The place of a name in the tree. */
static int clean_name(struct reading *g, const char *raw, const char *what, char **ret, struct failure *f) {
        g_autofree char *path = NULL;
        int r;

        r = entry_name_clean(raw, g->m->limits, what, &path, f);
        if (r < 0)
                return r;
        *ret = !g->m->below ? g_steal_pointer(&path)
               : *path      ? g_strconcat(g->m->below, "/", path, NULL)
                            : g_strdup(g->m->below);
        return 0;
}

static int read_hard_link(struct reading *g, struct archive_entry *entry, const char *path, struct failure *f) {
        g_autofree char *target = NULL;
        int r;

        if (g->again)
                return 0;
        r = clean_name(g, archive_entry_hardlink(entry), "hard link target", &target, f);
        if (r < 0)
                return r;
        return merge_tree_failed(g->m, tree_link(g->m->tree, g->number, path, target), path, f);
}

static int read_entry(struct reading *g, struct archive_entry *entry, struct failure *f) {
        const char *raw = archive_entry_pathname(entry), *target = NULL, *base;
        g_autofree char *path = NULL;
        struct tree_inode attributes, *inode;
        int r;

        if (!raw)
                return refuse(f, "?", "its name cannot be read");
        r = clean_name(g, raw, "layer entry", &path, f);
        if (r < 0)
                return r;
        base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        if (!g->m->below && g_str_has_prefix(base, WHITEOUT_PREFIX))
                return read_whiteout(g, path, base, f);
        if (archive_entry_hardlink(entry))
                return read_hard_link(g, entry, path, f);

        r = read_attributes(entry, path, &attributes, f);
        if (r >= 0 && g->m->below && !S_ISREG(attributes.mode) && !S_ISDIR(attributes.mode) &&
                !S_ISLNK(attributes.mode))
                r = refuse(f, path, "a device, FIFO or socket; a volume takes files, directories and links");
        if (r < 0)
                return r;
        if (S_ISREG(attributes.mode) && !g->again)
                r = count_bytes(g->m, (uint64_t) archive_entry_size(entry), path, f);
        if (S_ISLNK(attributes.mode)) {
                target = archive_entry_symlink(entry);
                r = check_target(path, target, f);
        }
        if (r < 0)
                return r;
        r = g->again ? tree_add_awaited(g->m->tree, path, &attributes, target, &inode)
                     : tree_add(g->m->tree, g->number, path, &attributes, target, &inode);
        if (r <= 0)
                return merge_tree_failed(g->m, r, path, f);
        r = set_xattrs(g->m, path, entry, inode, f);
        if (r >= 0 && S_ISREG(inode->mode))
                r = copy_data(g, entry, path, inode, f);
        return r;
}

static int stream_failed(struct reading *g, struct failure *f) {
        if (g->stream->too_large)
                return failf(f, -E2BIG, FAILURE_LIMIT, "the layers unpack to more than %" PRIu64 " bytes",
                        UNPACKED_MAX(g->m->limits));
        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED,
                "a layer is no tar (plain, gzip or zstd), or it is damaged or cut off: %s",
                layer_stream_error(g->stream));
}

/* libarchive goes on where it could not understand a part of a header: the entry is then another one than was meant.
 * Names that are no UTF-8 are bytes, as they are for the guest. */
static bool is_misread(struct reading *g, int r) {
        const char *text = r == ARCHIVE_WARN ? archive_error_string(g->stream->tar) : NULL;

        return text && !strstr(text, "converted");
}

static int read_entries(struct reading *g, struct failure *f) {
        struct merge *m = g->m;

        for (;;) {
                struct archive_entry *entry;
                int r = archive_read_next_header(g->stream->tar, &entry);

                if (r == ARCHIVE_EOF)
                        return 0;
                if (r < ARCHIVE_WARN || is_misread(g, r))
                        return stream_failed(g, f);
                if (!g->again && ++m->entries > m->limits->entries)
                        return failf(f, -E2BIG, FAILURE_LIMIT,
                                "the layers have more than %" PRIu64 " entries (limit \"entries\")",
                                m->limits->entries);
                r = read_entry(g, entry, f);
                if (r < 0)
                        return r;
                job_progress(m->job, (double) m->blob_bytes / (double) MAX(m->blob_total, 1U), "layers");
        }
}

/* Damage is a consequence when the bytes are not those that were named: that is then the better answer. */
static int verify(struct layer_stream *stream, const struct layer *layer, int r, struct failure *f) {
        struct failure mismatch = {};
        int v = 0;

        if (layer->digest && (r >= 0 || r == -EBADMSG))
                v = layer_stream_verify_blob(stream, layer->digest, &mismatch);
        else if (layer->diff_id && r >= 0)
                v = layer_stream_verify_tar(stream, layer->diff_id, &mismatch);
        if (v >= 0)
                return r;
        failure_clear(f);
        *f = mismatch;
        return v;
}

static int read_once(struct merge *m, const struct layer *layer, unsigned number, bool again, struct failure *f) {
        struct layer_stream stream;
        struct reading g = {.m = m, .stream = &stream, .number = number, .again = again};
        int r;

        r = layer_stream_open(&stream, m->source, layer->extent, again ? NULL : &m->blob_bytes,
                UNPACKED_MAX(m->limits) - m->unpacked, layer->diff_id, f);
        if (r >= 0)
                r = read_entries(&g, f);
        if (stream.blob.error < 0) {
                failure_clear(f);
                r = fail_errno(f, stream.blob.error, "reading a layer");
        }
        r = verify(&stream, layer, r, f);
        m->unpacked += stream.size;
        layer_stream_clear(&stream);
        return r;
}

int layer_merge(struct merge *m, const struct layer *layer, unsigned number, struct failure *f) {
        int r;

        r = read_once(m, layer, number, false, f);
        if (r >= 0 && tree_awaits(m->tree, number))
                r = read_once(m, layer, number, true, f);
        return r;
}

int merge_settle(struct merge *m, struct failure *f) {
        g_autofree char *culprit = NULL;
        int r = tree_settle(m->tree, &culprit);

        switch (r) {
        case -ENOENT:
                return failf(f, r, FAILURE_UNSUPPORTED, "the hard link \"%.200s\" has no target in the image", culprit);
        case -ELOOP:
        case -ENOTDIR:
                return failf(f, r, FAILURE_UNSUPPORTED,
                        "entries lie behind the symbolic link \"%.200s\", which leads to no directory", culprit);
        case -E2BIG:
                return failf(f, r, FAILURE_LIMIT, "the image has too many names");
        default:
                return r < 0 ? fail_errno(f, r, "ending the merge") : 0;
        }
}
