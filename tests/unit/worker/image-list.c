/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A second reader of the images the worker writes. */
#include "unit.h"

#include "image-list.h"

#include <glib.h>
#include <sqfs/block.h>
#include <sqfs/compressor.h>
#include <sqfs/data_reader.h>
#include <sqfs/dir_reader.h>
#include <sqfs/error.h>
#include <sqfs/id_table.h>
#include <sqfs/inode.h>
#include <sqfs/super.h>
#include <sqfs/xattr.h>
#include <sqfs/xattr_reader.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/image-file.h"

#define CONTENT_MAX 40U

struct reader {
        struct image_file file;
        sqfs_super_t super;
        sqfs_compressor_t *cmp;
        sqfs_id_table_t *ids;
        sqfs_dir_reader_t *dirs;
        sqfs_data_reader_t *data;
        sqfs_xattr_reader_t *xattrs;
};

static void reader_open(struct reader *r, int fd) {
        sqfs_compressor_config_t config;
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        image_file_init(&r->file, fd);
        r->file.size = (sqfs_u64) st.st_size;
        assert_int_equal(sqfs_super_read(&r->super, &r->file.base), 0);
        assert_int_equal(r->super.modification_time, 0);
        assert_int_equal(sqfs_compressor_config_init(
                                 &config, r->super.compression_id, r->super.block_size, SQFS_COMP_FLAG_UNCOMPRESS),
                0);
        assert_int_equal(sqfs_compressor_create(&config, &r->cmp), 0);
        r->ids = sqfs_id_table_create(0);
        assert_int_equal(sqfs_id_table_read(r->ids, &r->file.base, &r->super, r->cmp), 0);
        r->dirs = sqfs_dir_reader_create(&r->super, r->cmp, &r->file.base, 0);
        r->data = sqfs_data_reader_create(&r->file.base, r->super.block_size, r->cmp, 0);
        assert_int_equal(sqfs_data_reader_load_fragment_table(r->data, &r->super), 0);
        r->xattrs = sqfs_xattr_reader_create(0);
        assert_int_equal(sqfs_xattr_reader_load(r->xattrs, &r->super, &r->file.base, r->cmp), 0);
}

static void reader_close(struct reader *r) {
        sqfs_destroy(r->xattrs);
        sqfs_destroy(r->data);
        sqfs_destroy(r->dirs);
        sqfs_destroy(r->ids);
        sqfs_destroy(r->cmp);
}

static unsigned links_of(const sqfs_inode_generic_t *i) {
        switch (i->base.type) {
        case SQFS_INODE_DIR:
                return i->data.dir.nlink;
        case SQFS_INODE_EXT_DIR:
                return i->data.dir_ext.nlink;
        case SQFS_INODE_FILE:
                return 1;
        case SQFS_INODE_EXT_FILE:
                return i->data.file_ext.nlink;
        default:
                return i->data.dev.nlink; /* first in all the others */
        }
}

static void list_content(struct reader *r, const sqfs_inode_generic_t *i, GString *out) {
        char content[CONTENT_MAX + 1] = "";
        sqfs_u64 size;

        assert_int_equal(sqfs_inode_get_file_size(i, &size), 0);
        if (size > CONTENT_MAX) {
                g_string_append_printf(out, "%" G_GUINT64_FORMAT " bytes", size);
                return;
        }
        if (size > 0)
                assert_int_equal(sqfs_data_reader_read(r->data, i, 0, content, (sqfs_u32) size), size);
        g_string_append_printf(out, "=%s", content);
}

static int compare_texts(gconstpointer a, gconstpointer b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void list_xattrs(struct reader *r, const sqfs_inode_generic_t *i, GString *out) {
        g_autoptr(GPtrArray) pairs = g_ptr_array_new_with_free_func(g_free);
        sqfs_xattr_id_t desc;
        sqfs_u32 index;

        assert_int_equal(sqfs_inode_get_xattr_index(i, &index), 0);
        if (index == UINT32_MAX)
                return;
        assert_int_equal(sqfs_xattr_reader_get_desc(r->xattrs, index, &desc), 0);
        assert_int_equal(sqfs_xattr_reader_seek_kv(r->xattrs, &desc), 0);
        for (unsigned n = 0; n < desc.count; n++) {
                sqfs_xattr_entry_t *key;
                sqfs_xattr_value_t *value;

                assert_int_equal(sqfs_xattr_reader_read_key(r->xattrs, &key), 0);
                assert_int_equal(sqfs_xattr_reader_read_value(r->xattrs, key, &value), 0);
                g_ptr_array_add(pairs, g_strdup_printf(" %s=%.*s", (const char *) key->key, (int) value->size,
                                               (const char *) value->value));
                sqfs_free(key);
                sqfs_free(value);
        }
        g_ptr_array_sort(pairs, compare_texts);
        for (guint n = 0; n < pairs->len; n++)
                g_string_append(out, g_ptr_array_index(pairs, n));
}

static void list_node(struct reader *r, const sqfs_tree_node_t *n, const char *prefix, GString *out) {
        const sqfs_inode_generic_t *i = n->inode;
        g_autofree char *path = n->parent ? g_strconcat(prefix, "/", (const char *) n->name, NULL) : g_strdup("");

        g_string_append_printf(out, "%s %o %u:%u %u %u ", *path ? path : "/", i->base.mode, n->uid, n->gid, links_of(i),
                i->base.mod_time);
        if (S_ISREG(i->base.mode))
                list_content(r, i, out);
        if (S_ISLNK(i->base.mode))
                g_string_append_printf(out, ">%.*s", (int) i->data.slink.target_size, (const char *) i->extra);
        if (S_ISCHR(i->base.mode) || S_ISBLK(i->base.mode))
                g_string_append_printf(out, "%u:%u", (i->data.dev.devno & 0xfff00) >> 8,
                        (i->data.dev.devno & 0xff) | ((i->data.dev.devno >> 12) & 0xfff00));
        list_xattrs(r, i, out);
        g_string_append_c(out, '\n');
        for (const sqfs_tree_node_t *c = n->children; c; c = c->next)
                list_node(r, c, path, out);
}

char *image_list(int fd) {
        struct reader r = {};
        GString *out = g_string_new(NULL);
        sqfs_tree_node_t *root = NULL;

        reader_open(&r, fd);
        assert_int_equal(sqfs_dir_reader_get_full_hierarchy(r.dirs, r.ids, NULL, 0, &root), 0);
        list_node(&r, root, "", out);
        sqfs_dir_tree_destroy(root);
        reader_close(&r);
        return g_string_free(out, FALSE);
}
