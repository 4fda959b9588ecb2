/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only user of libsquashfs: block processor, tables, inodes and directories of one image. */
#include "worker/image-writer.h"

#include <errno.h>
#include <glib.h>
#include <sqfs/block.h>
#include <sqfs/block_processor.h>
#include <sqfs/block_writer.h>
#include <sqfs/compressor.h>
#include <sqfs/dir_writer.h>
#include <sqfs/error.h>
#include <sqfs/frag_table.h>
#include <sqfs/id_table.h>
#include <sqfs/inode.h>
#include <sqfs/meta_writer.h>
#include <sqfs/super.h>
#include <sqfs/xattr_writer.h>
#include <stdlib.h>
#include <string.h>

#include "worker/image-file.h"

#define BLOCK_BYTES (128U * 1024U)
#define ZSTD_LEVEL 6U /* about as fast as the layers unpack, a tenth larger than the slowest */
#define THREADS_MAX 8U
#define BACKLOG 32U   /* blocks in flight, BLOCK_BYTES each: work enough while the feeding thread hashes and unpacks */
#define IMAGE_TIME 0U /* of the image itself; files keep theirs */
#define PADDING 4096U /* the image is a disk: whole blocks */
#define XATTR_IDS_PER_BLOCK 512U

struct image_writer {
        struct image_file file;
        sqfs_super_t super;
        sqfs_compressor_t *cmp, *uncmp;
        sqfs_block_writer_t *blocks;
        sqfs_frag_table_t *fragments;
        sqfs_block_processor_t *processor;
        sqfs_id_table_t *ids;
        sqfs_xattr_writer_t *xattrs;
        sqfs_meta_writer_t *inode_meta, *dir_meta;
        sqfs_dir_writer_t *dirs;
        uint32_t n_xattr_sets;
        uint32_t n_inodes;
};

/* Errors of libsquashfs; those of the descriptor are remembered by the file. */
static int told(struct image_writer *w, int error, const char *what, struct failure *f) {
        if (error == 0)
                return 0;
        if (w->file.error < 0)
                return fail_errno(f, w->file.error, "writing the image");
        switch (error) {
        case SQFS_ERROR_ALLOC:
                return fail_errno(f, -ENOMEM, what);
        case SQFS_ERROR_OVERFLOW:
                return failf(f, -EOVERFLOW, FAILURE_LIMIT, "%s: more than SquashFS can hold", what);
        default:
                return failf(f, -EIO, FAILURE_OTHER, "%s: libsquashfs error %d", what, error);
        }
}

static int create_compressors(struct image_writer *w) {
        sqfs_compressor_config_t config;
        int r;

        r = sqfs_compressor_config_init(&config, SQFS_COMP_ZSTD, BLOCK_BYTES, 0);
        if (r != 0)
                return r;
        config.level = ZSTD_LEVEL;
        r = sqfs_compressor_create(&config, &w->cmp);
        if (r != 0)
                return r;
        config.flags |= SQFS_COMP_FLAG_UNCOMPRESS;
        return sqfs_compressor_create(&config, &w->uncmp);
}

static int create_processor(struct image_writer *w) {
        sqfs_block_processor_desc_t desc = {
                .size = sizeof desc,
                .max_block_size = BLOCK_BYTES,
                .num_workers = MIN(g_get_num_processors(), THREADS_MAX),
        };

        w->blocks = sqfs_block_writer_create(&w->file.base, PADDING, 0);
        w->fragments = sqfs_frag_table_create(0);
        if (!w->blocks || !w->fragments)
                return SQFS_ERROR_ALLOC;
        desc.max_backlog = BACKLOG;
        desc.cmp = w->cmp;
        desc.wr = w->blocks;
        desc.tbl = w->fragments;
        /* Equal fragments are compared byte by byte, not by a 32-bit hash: content comes from strangers. */
        desc.file = &w->file.base;
        desc.uncmp = w->uncmp;
        return sqfs_block_processor_create_ex(&desc, &w->processor);
}

static int create_tables(struct image_writer *w) {
        w->ids = sqfs_id_table_create(0);
        w->xattrs = sqfs_xattr_writer_create(0);
        w->inode_meta = sqfs_meta_writer_create(&w->file.base, w->cmp, 0);
        w->dir_meta = sqfs_meta_writer_create(&w->file.base, w->cmp, SQFS_META_WRITER_KEEP_IN_MEMORY);
        if (w->dir_meta)
                w->dirs = sqfs_dir_writer_create(w->dir_meta, 0);
        return w->ids && w->xattrs && w->inode_meta && w->dirs ? 0 : SQFS_ERROR_ALLOC;
}

/* The super block comes first in the file and is written again at the end. */
static int write_start(struct image_writer *w) {
        int r;

        r = sqfs_super_init(&w->super, BLOCK_BYTES, IMAGE_TIME, SQFS_COMP_ZSTD);
        if (r == 0)
                r = sqfs_super_write(&w->super, &w->file.base);
        if (r != 0)
                return r;
        r = w->cmp->write_options(w->cmp, &w->file.base);
        if (r > 0)
                w->super.flags |= SQFS_FLAG_COMPRESSOR_OPTIONS;
        return MIN(r, 0);
}

int image_writer_new(int fd, struct image_writer **ret, struct failure *f) {
        struct image_writer *w = g_new0(struct image_writer, 1);
        int r;

        image_file_init(&w->file, fd);
        r = create_compressors(w);
        if (r == 0)
                r = write_start(w);
        if (r == 0)
                r = create_processor(w);
        if (r == 0)
                r = create_tables(w);
        r = told(w, r, "starting the image", f);
        if (r < 0) {
                image_writer_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

/* What is still in flight when an import fails is waited for: the processor forgets it otherwise. Each failed call ends
 * one block at least, if any can end. */
static void drain(struct image_writer *w) {
        for (unsigned i = 0; w->processor && i < BACKLOG; i++)
                if (sqfs_block_processor_sync(w->processor) == 0)
                        break;
}

struct image_writer *image_writer_free(struct image_writer *w) {
        if (!w)
                return NULL;
        drain(w);
        sqfs_destroy(w->dirs);
        sqfs_destroy(w->dir_meta);
        sqfs_destroy(w->inode_meta);
        sqfs_destroy(w->xattrs);
        sqfs_destroy(w->ids);
        sqfs_destroy(w->processor);
        sqfs_destroy(w->fragments);
        sqfs_destroy(w->blocks);
        sqfs_destroy(w->uncmp);
        sqfs_destroy(w->cmp);
        g_free(w);
        return NULL;
}

int image_writer_begin(struct image_writer *w, struct tree_inode *inode, struct failure *f) {
        int r = sqfs_block_processor_begin_file(w->processor, (sqfs_inode_generic_t **) &inode->file, NULL, 0);

        return told(w, r, "beginning a file", f);
}

int image_writer_append(struct image_writer *w, const void *data, size_t len, struct failure *f) {
        if (len == 0)
                return 0;
        return told(w, sqfs_block_processor_append(w->processor, data, len), "writing a file", f);
}

int image_writer_append_zeros(struct image_writer *w, uint64_t len, struct failure *f) {
        static const char zeros[BLOCK_BYTES];
        int r = 0;

        while (len > 0 && r >= 0) {
                size_t n = (size_t) MIN(len, sizeof zeros);

                r = image_writer_append(w, zeros, n, f);
                len -= n;
        }
        return r;
}

int image_writer_end(struct image_writer *w, struct failure *f) {
        return told(w, sqfs_block_processor_end_file(w->processor), "ending a file", f);
}

int image_writer_xattr_begin(struct image_writer *w, struct failure *f) {
        return told(w, sqfs_xattr_writer_begin(w->xattrs, 0), "beginning extended attributes", f);
}

int image_writer_xattr_add(
        struct image_writer *w, const char *name, const void *value, size_t size, struct failure *f) {
        return told(w, sqfs_xattr_writer_add(w->xattrs, name, value, size), "adding an extended attribute", f);
}

int image_writer_xattr_end(struct image_writer *w, uint32_t *ret_index, struct failure *f) {
        uint32_t index;
        int r = sqfs_xattr_writer_end(w->xattrs, &index);

        if (r != 0)
                return told(w, r, "ending extended attributes", f);
        if (index != TREE_NO_XATTR)
                w->n_xattr_sets = MAX(w->n_xattr_sets, index + 1);
        *ret_index = index;
        return 0;
}

uint32_t image_device(unsigned major, unsigned minor) {
        return (minor & 0xffU) | (major << 8) | ((minor & ~0xffU) << 12);
}

static sqfs_inode_generic_t *new_inode(size_t extra) {
        return calloc(1, sizeof(sqfs_inode_generic_t) + extra);
}

static sqfs_inode_generic_t *special_inode(const struct tree_inode *in) {
        sqfs_inode_generic_t *out;
        size_t len = S_ISLNK(in->mode) ? strlen(in->target) : 0;

        out = new_inode(len);
        if (!out)
                return NULL;
        switch (in->mode & S_IFMT) {
        case S_IFLNK:
                out->base.type = SQFS_INODE_SLINK;
                out->data.slink.nlink = in->links;
                out->data.slink.target_size = (sqfs_u32) len;
                memcpy(out->extra, in->target, len);
                break;
        case S_IFBLK:
        case S_IFCHR:
                out->base.type = S_ISBLK(in->mode) ? SQFS_INODE_BDEV : SQFS_INODE_CDEV;
                out->data.dev.nlink = in->links;
                out->data.dev.devno = in->device;
                break;
        default:
                out->base.type = S_ISFIFO(in->mode) ? SQFS_INODE_FIFO : SQFS_INODE_SOCKET;
                out->data.ipc.nlink = in->links;
        }
        return out;
}

static sqfs_inode_generic_t *file_inode(struct tree_inode *in) {
        sqfs_inode_generic_t *out = in->file;

        in->file = NULL;
        if (!out) {
                /* No data was ever begun: an empty file. */
                out = new_inode(0);
                if (!out)
                        return NULL;
                out->base.type = SQFS_INODE_FILE;
                (void) sqfs_inode_set_frag_location(out, UINT32_MAX, UINT32_MAX);
        }
        if (in->links > 1)
                (void) sqfs_inode_make_extended(out);
        if (out->base.type == SQFS_INODE_EXT_FILE)
                out->data.file_ext.nlink = in->links;
        return out;
}

static sqfs_inode_generic_t *dir_inode(struct image_writer *w, const struct tree_node *dir, uint32_t parent) {
        sqfs_inode_generic_t *out = NULL;
        int r = sqfs_dir_writer_begin(w->dirs, 0);

        for (const struct tree_node *n = dir->children; n && r == 0; n = n->next)
                r = sqfs_dir_writer_add_entry(
                        w->dirs, n->name, n->inode->number, n->inode->where, (sqfs_u16) n->inode->mode);
        if (r == 0)
                r = sqfs_dir_writer_end(w->dirs);
        if (r == 0)
                out = sqfs_dir_writer_create_inode(w->dirs, 0, dir->inode->xattr, parent);
        if (!out)
                return NULL;
        if (out->base.type == SQFS_INODE_DIR)
                out->data.dir.nlink = dir->inode->links;
        else
                out->data.dir_ext.nlink = dir->inode->links;
        return out;
}

static int write_inode(struct image_writer *w, struct tree_inode *in, sqfs_inode_generic_t *out) {
        sqfs_u64 block;
        sqfs_u32 offset;
        int r;

        out->base.mode = (sqfs_u16) in->mode;
        out->base.mod_time = in->mtime;
        out->base.inode_number = in->number;
        r = in->xattr != TREE_NO_XATTR ? sqfs_inode_set_xattr_index(out, in->xattr) : 0;
        if (r == 0)
                r = sqfs_id_table_id_to_index(w->ids, in->uid, &out->base.uid_idx);
        if (r == 0)
                r = sqfs_id_table_id_to_index(w->ids, in->gid, &out->base.gid_idx);
        if (r != 0)
                return r;
        sqfs_meta_writer_get_position(w->inode_meta, &block, &offset);
        in->where = (block << 16) | offset;
        return sqfs_meta_writer_write_inode(w->inode_meta, out);
}

/* The inode of a node whose children are written. A file with several names is written at the first one. */
static int write_node(struct image_writer *w, struct tree_node *n, uint32_t parent) {
        struct tree_inode *in = n->inode;
        sqfs_inode_generic_t *out;
        int r;

        if (S_ISDIR(in->mode))
                out = dir_inode(w, n, parent);
        else if (S_ISREG(in->mode))
                out = file_inode(in);
        else
                out = special_inode(in);
        if (!out)
                return SQFS_ERROR_ALLOC;
        r = write_inode(w, in, out);
        sqfs_free(out);
        return r;
}

/* Numbers are given before anything is written: a directory names its parent's. */
static void number_children(struct image_writer *w, struct tree_node *dir) {
        for (struct tree_node *n = dir->children; n; n = n->next)
                if (n->inode->number == 0)
                        n->inode->number = ++w->n_inodes;
        for (struct tree_node *n = dir->children; n; n = n->next)
                number_children(w, n);
}

/* Below first, then the children side by side: neighbours in a listing are neighbours in the table. Depth is bounded by
 * TREE_DEPTH_MAX and the limit on depth. */
static int write_children(struct image_writer *w, struct tree_node *dir) {
        int r = 0;

        for (struct tree_node *n = dir->children; n && r == 0; n = n->next)
                r = write_children(w, n);
        for (struct tree_node *n = dir->children; n && r == 0; n = n->next)
                if (n->inode->where == UINT64_MAX)
                        r = write_node(w, n, dir->inode->number);
        return r;
}

static void mark_unwritten(struct tree_node *n) {
        n->inode->where = UINT64_MAX;
        n->inode->number = 0;
        for (struct tree_node *c = n->children; c; c = c->next)
                mark_unwritten(c);
}

static int write_tree(struct image_writer *w, struct tree *t) {
        struct tree_node *root = tree_root(t);
        int r;

        mark_unwritten(root);
        root->inode->number = ++w->n_inodes;
        number_children(w, root);
        w->super.inode_count = w->n_inodes;
        w->super.inode_table_start = w->file.size;
        r = write_children(w, root);
        if (r == 0)
                r = write_node(w, root, w->n_inodes + 1);
        if (r == 0)
                r = sqfs_meta_writer_flush(w->inode_meta);
        if (r == 0)
                r = sqfs_meta_writer_flush(w->dir_meta);
        if (r != 0)
                return r;
        w->super.root_inode_ref = root->inode->where;
        w->super.directory_table_start = w->file.size;
        return sqfs_meta_write_write_to_file(w->dir_meta);
}

/* libsquashfs 1.2 sizes a table for n / 512 blocks and, when the sets fill the last block exactly, notes one more. */
static int avoid_full_xattr_block(struct image_writer *w) {
        uint32_t index;
        int r;

        if (w->n_xattr_sets == 0 || w->n_xattr_sets % XATTR_IDS_PER_BLOCK != 0)
                return 0;
        r = sqfs_xattr_writer_begin(w->xattrs, 0);
        if (r == 0)
                r = sqfs_xattr_writer_add(w->xattrs, "user.mcp.padding", "", 0);
        return r == 0 ? sqfs_xattr_writer_end(w->xattrs, &index) : r;
}

static int write_tables(struct image_writer *w) {
        int r;

        r = sqfs_frag_table_write(w->fragments, &w->file.base, &w->super, w->cmp);
        if (r == 0)
                r = sqfs_id_table_write(w->ids, &w->file.base, &w->super, w->cmp);
        if (r == 0)
                r = avoid_full_xattr_block(w);
        if (r == 0)
                r = sqfs_xattr_writer_flush(w->xattrs, &w->file.base, &w->super, w->cmp);
        return r;
}

static int write_end(struct image_writer *w) {
        static const char zeros[PADDING];
        size_t rest;
        int r;

        w->super.bytes_used = w->file.size;
        r = sqfs_super_write(&w->super, &w->file.base);
        rest = (size_t) (w->file.size % PADDING);
        if (r == 0 && rest > 0)
                r = w->file.base.write_at(&w->file.base, w->file.size, zeros, PADDING - rest);
        return r;
}

int image_writer_finish(struct image_writer *w, struct tree *t, uint64_t *ret_size, struct failure *f) {
        int r;

        r = sqfs_block_processor_finish(w->processor);
        if (r == 0)
                r = write_tree(w, t);
        if (r == 0)
                r = write_tables(w);
        if (r == 0)
                r = write_end(w);
        r = told(w, r, "ending the image", f);
        if (r >= 0)
                *ret_size = w->file.size;
        return r;
}
