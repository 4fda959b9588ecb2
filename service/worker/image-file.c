/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pread, pwrite and ftruncate behind libsquashfs's file interface. Used by one thread: the block processor reads and
 * writes in the thread that feeds it. */
#include "worker/image-file.h"

#include <errno.h>
#include <sqfs/error.h>
#include <unistd.h>

static int remember(struct image_file *f, int error) {
        if (f->error == 0)
                f->error = error;
        return SQFS_ERROR_IO;
}

static int file_read_at(sqfs_file_t *base, sqfs_u64 offset, void *buffer, size_t size) {
        struct image_file *f = (struct image_file *) base;
        char *p = buffer;

        while (size > 0) {
                ssize_t n = pread(f->fd, p, size, (off_t) offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return remember(f, -errno);
                if (n == 0)
                        return SQFS_ERROR_OUT_OF_BOUNDS;
                p += n;
                size -= (size_t) n;
                offset += (sqfs_u64) n;
        }
        return 0;
}

static int file_write_at(sqfs_file_t *base, sqfs_u64 offset, const void *buffer, size_t size) {
        struct image_file *f = (struct image_file *) base;
        const char *p = buffer;

        while (size > 0) {
                ssize_t n = pwrite(f->fd, p, size, (off_t) offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return remember(f, n < 0 ? -errno : -EIO);
                p += n;
                size -= (size_t) n;
                offset += (sqfs_u64) n;
        }
        if (offset > f->size)
                f->size = offset;
        return 0;
}

static sqfs_u64 file_get_size(const sqfs_file_t *base) {
        return ((const struct image_file *) base)->size;
}

static int file_truncate(sqfs_file_t *base, sqfs_u64 size) {
        struct image_file *f = (struct image_file *) base;

        if (ftruncate(f->fd, (off_t) size) < 0)
                return remember(f, -errno);
        f->size = size;
        return 0;
}

/* The object lives in its owner. */
static void file_destroy(sqfs_object_t *base) {
}

void image_file_init(struct image_file *f, int fd) {
        *f = (struct image_file){.fd = fd};
        f->base.base.destroy = file_destroy;
        f->base.read_at = file_read_at;
        f->base.write_at = file_write_at;
        f->base.get_size = file_get_size;
        f->base.truncate = file_truncate;
}
