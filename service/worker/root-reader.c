/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libsquashfs's readers behind three verbs: find, read, copy. */
#include "worker/root-reader.h"

#include <errno.h>
#include <glib.h>
#include <sqfs/compressor.h>
#include <sqfs/data_reader.h>
#include <sqfs/dir.h>
#include <sqfs/dir_reader.h>
#include <sqfs/error.h>
#include <sqfs/inode.h>
#include <sqfs/super.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/fd.h"
#include "worker/image-file.h"

#define LINKS_MAX 40U   /* the kernel's own limit (MAXSYMLINKS) */
#define REST_MAX 65536U /* bytes of a path that links make longer and longer */
#define CHUNK (256U << 10)

struct root_reader {
        struct image_file file;
        sqfs_super_t super;
        sqfs_compressor_t *compressor;
        sqfs_dir_reader_t *directories;
        sqfs_data_reader_t *data;
};

static int open_readers(struct root_reader *r) {
        sqfs_compressor_config_t config;
        sqfs_file_t *file = &r->file.base;

        if (sqfs_super_read(&r->super, file) != 0)
                return -EBADMSG;
        if (sqfs_compressor_config_init(
                    &config, r->super.compression_id, r->super.block_size, SQFS_COMP_FLAG_UNCOMPRESS) != 0 ||
                sqfs_compressor_create(&config, &r->compressor) != 0)
                return -EOPNOTSUPP;
        if ((r->super.flags & SQFS_FLAG_COMPRESSOR_OPTIONS) && r->compressor->read_options(r->compressor, file) != 0)
                return -EBADMSG;
        r->directories = sqfs_dir_reader_create(&r->super, r->compressor, file, 0);
        r->data = sqfs_data_reader_create(file, r->super.block_size, r->compressor, 0);
        if (!r->directories || !r->data)
                return -ENOMEM;
        return sqfs_data_reader_load_fragment_table(r->data, &r->super) != 0 ? -EBADMSG : 0;
}

int root_reader_new(int fd, struct root_reader **ret, struct failure *f) {
        struct root_reader *r = g_new0(struct root_reader, 1);
        struct stat st;
        int q;

        image_file_init(&r->file, fd);
        q = fstat(fd, &st) < 0 ? -errno : 0;
        if (q >= 0) {
                r->file.size = (sqfs_u64) st.st_size;
                q = open_readers(r);
        }
        if (q < 0) {
                (void) root_reader_free(r);
                return fail_errno(f, q, "reading the root image");
        }
        *ret = r;
        return 0;
}

struct root_reader *root_reader_free(struct root_reader *r) {
        if (!r)
                return NULL;
        sqfs_destroy(r->data);
        sqfs_destroy(r->directories);
        sqfs_destroy(r->compressor);
        g_free(r);
        return NULL;
}

static bool is_type(const sqfs_inode_generic_t *inode, unsigned type) {
        return inode->base.type == type || inode->base.type == type + SQFS_INODE_EXT_DIR - SQFS_INODE_DIR;
}

/* One name of one directory. */
static int find(struct root_reader *r, const sqfs_inode_generic_t *dir, const char *name, sqfs_inode_generic_t **ret) {
        int q;

        if (!is_type(dir, SQFS_INODE_DIR))
                return -ENOTDIR;
        if (strchr(name, '\\')) /* the library takes it for a slash */
                return -ENOENT;
        q = sqfs_dir_reader_find_by_path(r->directories, dir, name, ret);
        return q == 0 ? 0 : q == SQFS_ERROR_NO_ENTRY ? -ENOENT : -EIO;
}

/* A link's target goes before what is left of the path. */
static int follow(const sqfs_inode_generic_t *link, GString *rest, bool *ret_absolute) {
        size_t n = link->data.slink.target_size;
        const char *target = (const char *) link->extra;

        if (n == 0 || n > REST_MAX || rest->len > REST_MAX - n)
                return -ELOOP;
        *ret_absolute = target[0] == '/';
        g_string_prepend_c(rest, '/');
        g_string_prepend_len(rest, target, (gssize) n);
        return 0;
}

static void inode_free(void *inode) {
        sqfs_free(inode);
}

/* The first name of rest, which loses it. */
static char *next_name(GString *rest) {
        size_t slashes = strspn(rest->str, "/"), n;
        char *name;

        g_string_erase(rest, 0, (gssize) slashes);
        n = strcspn(rest->str, "/");
        name = g_strndup(rest->str, n);
        g_string_erase(rest, 0, (gssize) n);
        return name;
}

/* way: inodes from the root down to where rest begins. */
static int walk(struct root_reader *r, GPtrArray *way, GString *rest) {
        for (unsigned links = 0;;) {
                g_autofree char *name = next_name(rest);
                sqfs_inode_generic_t *inode;
                bool absolute = false;
                int q;

                if (!*name)
                        return 0;
                if (strcmp(name, ".") == 0)
                        continue;
                if (strcmp(name, "..") == 0) {
                        if (way->len > 1)
                                g_ptr_array_set_size(way, (gint) way->len - 1);
                        continue;
                }
                q = find(r, way->pdata[way->len - 1], name, &inode);
                if (q < 0)
                        return q;
                if (!is_type(inode, SQFS_INODE_SLINK)) {
                        g_ptr_array_add(way, inode);
                        continue;
                }
                q = ++links > LINKS_MAX ? -ELOOP : follow(inode, rest, &absolute);
                sqfs_free(inode);
                if (q < 0)
                        return q;
                if (absolute)
                        g_ptr_array_set_size(way, 1);
        }
}

static int read_elf(void *user, uint64_t offset, void *buf, size_t len) {
        return root_file_read(user, offset, buf, len);
}

/* The inode at the end of a path; the caller's. */
static int look_up(struct root_reader *r, const char *path, sqfs_inode_generic_t **ret) {
        g_autoptr(GPtrArray) way = g_ptr_array_new_with_free_func(inode_free);
        g_autoptr(GString) rest = g_string_new(path);
        sqfs_inode_generic_t *root;
        int q;

        if (sqfs_dir_reader_get_root_inode(r->directories, &root) != 0)
                return -EIO;
        g_ptr_array_add(way, root);
        q = walk(r, way, rest);
        if (q >= 0)
                *ret = g_ptr_array_steal_index(way, way->len - 1);
        return q;
}

/* inode is taken. */
static int file_new(struct root_reader *r, sqfs_inode_generic_t *inode, struct root_file **ret) {
        struct root_file *file;
        sqfs_u64 size;

        if (!is_type(inode, SQFS_INODE_FILE)) {
                sqfs_free(inode);
                return -EINVAL;
        }
        file = g_new(struct root_file, 1);
        *file = (struct root_file){.reader = r, .inode = inode};
        if (sqfs_inode_get_file_size(file->inode, &size) != 0) {
                (void) root_file_free(file);
                return -EIO;
        }
        file->size = size;
        file->elf = (struct elf_source){.read = read_elf, .user = file, .size = size};
        *ret = file;
        return 0;
}

int root_reader_open(struct root_reader *r, const char *path, struct root_file **ret) {
        sqfs_inode_generic_t *inode;
        int q = look_up(r, path, &inode);

        return q < 0 ? q : file_new(r, inode, ret);
}

/* ---- Trees ---- */

struct visit {
        struct root_reader *reader;
        const char *place;
        root_visit visit;
        void *userdata;
        unsigned left, depth;
};

static int list_names(struct root_reader *r, const sqfs_inode_generic_t *dir, GPtrArray *names) {
        sqfs_dir_entry_t *entry;
        int q = sqfs_dir_reader_open_dir(r->directories, dir, 0);

        while (q == 0 && (q = sqfs_dir_reader_read(r->directories, &entry)) == 0) {
                char *name = g_strndup((const char *) entry->name, (gsize) entry->size + 1);

                sqfs_free(entry);
                g_ptr_array_add(names, name);
                if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                        return -EBADMSG;
        }
        return q < 0 ? -EIO : 0;
}

static int visit_file(struct visit *v, const char *rel, sqfs_inode_generic_t *inode) {
        struct root_file *file;
        int q = file_new(v->reader, inode, &file);

        if (q == -EINVAL) {
                v->left++;
                return 0;
        }
        if (q >= 0) {
                q = v->visit(rel, file, v->userdata);
                (void) root_file_free(file);
        }
        return q;
}

static int visit_link(struct visit *v, const char *rel) {
        g_autofree char *path = g_strconcat(v->place, "/", rel, NULL);
        sqfs_inode_generic_t *target;

        if (look_up(v->reader, path, &target) >= 0)
                return visit_file(v, rel, target);
        v->left++;
        return 0;
}

static int visit_inode(struct visit *v, const char *rel, sqfs_inode_generic_t *inode);

/* The names are read first: the reader is at one place at a time. */
static int visit_directory(struct visit *v, const char *rel, const sqfs_inode_generic_t *dir) {
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        int q = v->visit(rel, NULL, v->userdata);

        if (q >= 0)
                q = ++v->depth > ROOT_DEPTH_MAX ? -ELOOP : list_names(v->reader, dir, names);
        for (guint i = 0; q >= 0 && i < names->len; i++) {
                g_autofree char *below = g_strconcat(rel, *rel ? "/" : "", names->pdata[i], NULL);
                sqfs_inode_generic_t *inode;

                q = find(v->reader, dir, names->pdata[i], &inode);
                if (q == -ENOENT) { /* a name with a backslash, which the library does not find */
                        v->left++;
                        q = 0;
                } else if (q >= 0)
                        q = visit_inode(v, below, inode);
        }
        v->depth--;
        return q;
}

/* inode is taken. */
static int visit_inode(struct visit *v, const char *rel, sqfs_inode_generic_t *inode) {
        int q = 0;

        if (is_type(inode, SQFS_INODE_FILE))
                return visit_file(v, rel, inode);
        if (is_type(inode, SQFS_INODE_DIR))
                q = visit_directory(v, rel, inode);
        else if (is_type(inode, SQFS_INODE_SLINK))
                q = visit_link(v, rel);
        else
                v->left++;
        sqfs_free(inode);
        return q;
}

int root_reader_visit(struct root_reader *r, const char *place, root_visit visit, void *userdata, unsigned *ret_left) {
        struct visit v = {.reader = r, .place = place, .visit = visit, .userdata = userdata};
        sqfs_inode_generic_t *inode;
        int q = look_up(r, place, &inode);

        if (q >= 0)
                q = visit_inode(&v, "", inode);
        *ret_left = v.left;
        return q;
}

struct root_file *root_file_free(struct root_file *file) {
        if (file)
                sqfs_free(file->inode);
        g_free(file);
        return NULL;
}

int root_file_read(struct root_file *file, uint64_t offset, void *buf, size_t len) {
        char *p = buf;

        while (len > 0) {
                sqfs_u32 want = (sqfs_u32) MIN(len, CHUNK);
                sqfs_s32 n = sqfs_data_reader_read(file->reader->data, file->inode, offset, p, want);

                if (n <= 0)
                        return file->reader->file.error < 0 ? file->reader->file.error : -EIO;
                p += n;
                len -= (size_t) n;
                offset += (uint64_t) n;
        }
        return 0;
}

int root_file_copy(struct root_file *file, int fd) {
        g_autofree char *buf = g_malloc(CHUNK);

        for (uint64_t at = 0; at < file->size;) {
                size_t n = (size_t) MIN(file->size - at, CHUNK);
                int r = root_file_read(file, at, buf, n);

                if (r >= 0)
                        r = write_all(fd, buf, n);
                if (r < 0)
                        return r;
                at += n;
        }
        return 0;
}
