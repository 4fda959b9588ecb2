/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the files of disks: disks/UID/NAME.img. There is nothing to know of a disk but its owner, name and size. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"
#include "store/store-private.h"

#define SUFFIX ".img"
#define FORMAT_MODE 0666 /* mkfs opens it again through /proc, as another user */
#define DISK_MODE 0600

struct walk {
        StoreDiskFound each;
        void *userdata;
        uint32_t owner;
};

static void walk_disk(int dir, const char *name, void *userdata) {
        struct walk *w = userdata;
        g_autofree char *stem = NULL;
        struct stat st;

        if (store_is_temporary(name) || !g_str_has_suffix(name, SUFFIX) ||
                fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return;
        stem = g_strndup(name, strlen(name) - strlen(SUFFIX));
        w->each(w->owner, stem, (uint64_t) st.st_size, w->userdata);
}

void store_disks_each(Store *s, uint32_t owner, StoreDiskFound each, void *userdata) {
        _cleanup_close_ int dir = store_owner_open(s->disks, owner);
        struct walk w = {each, userdata, owner};

        if (dir >= 0)
                store_each_entry(dir, walk_disk, &w);
}

struct written_walk {
        StoreDiskWritten each;
        void *userdata;
        uint32_t owner;
};

static void walk_written(int dir, const char *name, void *userdata) {
        struct written_walk *w = userdata;
        struct stat st;

        if (!store_is_temporary(name) && g_str_has_suffix(name, SUFFIX) &&
                fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                w->each(w->owner, (uint64_t) st.st_size, (uint64_t) st.st_blocks * 512, w->userdata);
}

static void walk_owner(int dir, const char *name, void *userdata) {
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct written_walk *w = userdata;
        guint64 owner;

        if (fd < 0 || !g_ascii_string_to_unsigned(name, 10, 0, UINT32_MAX, &owner, NULL))
                return;
        w->owner = (uint32_t) owner;
        store_each_entry(fd, walk_written, w);
}

void store_disks_written(Store *s, StoreDiskWritten each, void *userdata) {
        struct written_walk w = {.each = each, .userdata = userdata};

        store_each_entry(s->disks, walk_owner, &w);
}

uint64_t store_disk_size(Store *s, uint32_t owner, const char *name) {
        _cleanup_close_ int dir = store_owner_open(s->disks, owner);
        g_autofree char *file = g_strconcat(name, SUFFIX, NULL);
        struct stat st;

        return dir >= 0 && fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t) st.st_size : 0;
}

int store_disk_open(Store *s, uint32_t owner, const char *name) {
        _cleanup_close_ int dir = store_owner_open(s->disks, owner);
        g_autofree char *file = g_strconcat(name, SUFFIX, NULL);

        return store_file_open(dir, file, O_RDWR);
}

int store_disk_remove(Store *s, uint32_t owner, const char *name) {
        _cleanup_close_ int dir = store_owner_open(s->disks, owner);
        g_autofree char *file = g_strconcat(name, SUFFIX, NULL);

        if (dir < 0)
                return dir == -ENOENT ? 0 : dir;
        if (unlinkat(dir, file, 0) < 0 && errno != ENOENT)
                return -errno;
        store_owner_drop(s->disks, owner);
        return 0;
}

int store_disk_create(Store *s, uint32_t owner, uint64_t bytes, char **ret_tmp) {
        _cleanup_close_ int dir = store_owner_make(s->disks, owner);
        _cleanup_close_ int fd = dir < 0 ? dir : store_temporary_create(s, dir, ret_tmp);

        if (fd < 0)
                return fd;
        if (fchmod(fd, FORMAT_MODE) < 0 || ftruncate(fd, (off_t) bytes) < 0) {
                int r = -errno;

                store_temporary_discard(s, dir, *ret_tmp);
                g_clear_pointer(ret_tmp, g_free);
                return r;
        }
        return take_fd(&fd);
}

int store_disk_commit(Store *s, uint32_t owner, const char *tmp, const char *name) {
        _cleanup_close_ int dir = store_owner_open(s->disks, owner);
        g_autofree char *file = g_strconcat(name, SUFFIX, NULL);

        return dir < 0 ? dir : store_temporary_commit(s, dir, tmp, file, DISK_MODE);
}

void store_disk_discard(Store *s, uint32_t owner, const char *tmp) {
        _cleanup_close_ int dir = store_owner_open(s->disks, owner);

        if (dir >= 0)
                store_temporary_discard(s, dir, tmp);
}
