/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cpio "newc": a header of hexadecimal numbers, the name, the data, each padded to four bytes. */
#include "shared/cpio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/fd.h"

#define HEADER_BYTES 110U
#define END_PADDING 512U

struct entry {
        const char *path;
        mode_t mode;
        const void *data;
        size_t len;
        unsigned major, minor;
};

void cpio_init(struct cpio *c, int fd) {
        *c = (struct cpio){.fd = fd};
}

static int put(struct cpio *c, const void *data, size_t len) {
        int r = write_all(c->fd, data, len);

        if (r >= 0)
                c->size += len;
        return r;
}

static int pad(struct cpio *c, size_t to) {
        static const char zeros[END_PADDING];
        size_t rest = (size_t) (c->size % to);

        return rest > 0 ? put(c, zeros, to - rest) : 0;
}

static int put_entry(struct cpio *c, const struct entry *e, uint32_t inode) {
        char header[6 + 13 * 16 + 1];
        size_t name = strlen(e->path) + 1;
        int r;

        if (e->len > UINT32_MAX)
                return -EFBIG;
        snprintf(header, sizeof header, "070701%08" PRIx32 "%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", inode,
                (unsigned) e->mode, 0U, 0U, 1U, 0U, e->len, 0U, 0U, e->major, e->minor, name, 0U);
        r = put(c, header, HEADER_BYTES);
        if (r >= 0)
                r = put(c, e->path, name);
        if (r >= 0)
                r = pad(c, 4);
        if (r >= 0)
                r = put(c, e->data, e->len);
        return r >= 0 ? pad(c, 4) : r;
}

int cpio_directory(struct cpio *c, const char *path, mode_t mode) {
        return put_entry(c, &(struct entry){.path = path, .mode = S_IFDIR | mode}, ++c->inode);
}

int cpio_file(struct cpio *c, const char *path, mode_t mode, const void *data, size_t len) {
        return put_entry(
                c, &(struct entry){.path = path, .mode = S_IFREG | mode, .data = data, .len = len}, ++c->inode);
}

int cpio_character_device(struct cpio *c, const char *path, mode_t mode, unsigned major, unsigned minor) {
        return put_entry(
                c, &(struct entry){.path = path, .mode = S_IFCHR | mode, .major = major, .minor = minor}, ++c->inode);
}

int cpio_finish(struct cpio *c) {
        int r = put_entry(c, &(struct entry){.path = "TRAILER!!!"}, 0);

        return r >= 0 ? pad(c, END_PADDING) : r;
}
