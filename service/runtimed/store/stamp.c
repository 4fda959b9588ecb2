/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stamps of files: what would be another one if the file were. */
#include "store/stamp.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int64_t nanoseconds(struct timespec t) {
        return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

int stamp_of(int fd, Stamp *ret) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADF;
        *ret = (Stamp){.device = st.st_dev,
                .inode = st.st_ino,
                .size = (uint64_t) st.st_size,
                .mtime = nanoseconds(st.st_mtim),
                .ctime = nanoseconds(st.st_ctim)};
        return 0;
}

bool stamp_is_of(const Stamp *stamp, int fd) {
        Stamp now = {0};

        return stamp->inode != 0 && stamp_of(fd, &now) >= 0 && now.device == stamp->device &&
               now.inode == stamp->inode && now.size == stamp->size && now.mtime == stamp->mtime &&
               now.ctime == stamp->ctime;
}

json_t *stamp_to_json(const Stamp *stamp) {
        return json_pack("{s:I, s:I, s:I, s:I, s:I}", "device", (json_int_t) stamp->device, "inode",
                (json_int_t) stamp->inode, "size", (json_int_t) stamp->size, "mtime", (json_int_t) stamp->mtime,
                "ctime", (json_int_t) stamp->ctime);
}

Stamp stamp_from_json(json_t *object) {
        json_int_t device, inode, size, mtime, ctime;

        if (json_unpack(object, "{s:I, s:I, s:I, s:I, s:I}", "device", &device, "inode", &inode, "size", &size, "mtime",
                    &mtime, "ctime", &ctime) < 0)
                return (Stamp){};
        return (Stamp){.device = (uint64_t) device,
                .inode = (uint64_t) inode,
                .size = (uint64_t) size,
                .mtime = mtime,
                .ctime = ctime};
}
