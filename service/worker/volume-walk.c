/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads trees of the host, which somebody may be changing: nothing is opened but files and directories, no link is
 * followed, and what was not read whole is a failure that names the path. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "shared/fd.h"
#include "worker/volume.h"

#define CHUNK (256U * 1024U)
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC)

static int refuse(struct failure *f, int r, const char *path, const char *why) {
        return failf(f, r, FAILURE_SPEC, "volume: %s: %s", path, why);
}

static int cannot(struct failure *f, int r, const char *path) {
        const char *name = r == -ENOSPC || r == -EDQUOT ? FAILURE_SPACE
                           : failure_is_hosts(r)        ? FAILURE_OTHER
                                                        : FAILURE_SPEC;

        return failf(f, r, name, "volume: %s: %s%s", path, g_strerror(-r),
                r == -EACCES || r == -EPERM ? " (it must be readable for others, or for group mcp-volume)" : "");
}

static int changed(struct failure *f, const char *path) {
        return refuse(f, -ESTALE, path, "it changed while it was read; try again when nobody writes to it");
}

static bool same_state(const struct stat *a, const struct stat *b) {
        return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
               a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int add(struct merge *m, const struct stat *st, const char *path, const char *place, const char *target,
        struct tree_inode **ret, struct failure *f) {
        mode_t bits = S_ISDIR(st->st_mode) ? 0555 : st->st_mode & 0111 ? 0555 : 0444;
        struct tree_inode attributes = {.mode = (st->st_mode & S_IFMT) | (S_ISLNK(st->st_mode) ? 0777 : bits),
                .mtime = (uint32_t) CLAMP(st->st_mtime, 0, (time_t) UINT32_MAX),
                .xattr = TREE_NO_XATTR};
        int r;

        if (++m->entries > m->limits->entries)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "volume: %s: there are more than %" PRIu64 " entries (limit \"entries\")", path,
                        m->limits->entries);
        r = tree_add(m->tree, 0, place, &attributes, target, ret);
        return r < 0 ? merge_tree_failed(m, r, path, f) : 0;
}

static int copy(struct merge *m, int fd, const struct stat *st, const char *path, struct failure *f) {
        g_autofree char *buf = g_malloc(CHUNK);
        uint64_t at = 0;

        for (;;) {
                ssize_t n = pread(fd, buf, CHUNK, (off_t) at);
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return cannot(f, -errno, path);
                if (n == 0)
                        break;
                at += (uint64_t) n;
                if (at > (uint64_t) st->st_size)
                        return changed(f, path);
                r = image_writer_append(m->writer, buf, (size_t) n, f);
                if (r < 0)
                        return r;
                job_progress(m->job, (double) m->bytes / (double) m->limits->bytes, "volumes");
        }
        return at == (uint64_t) st->st_size ? 0 : changed(f, path);
}

static int count_bytes(struct merge *m, uint64_t size, const char *path, struct failure *f) {
        if (size > LIMIT_FILE_BYTES || size > m->limits->bytes - m->bytes)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "volume: with %s (%" PRIu64 " bytes) there are more than %" PRIu64 " bytes (limit \"bytes\")",
                        path, size, m->limits->bytes);
        m->bytes += size;
        return 0;
}

static int walk_file(
        struct merge *m, int fd, const struct stat *st, const char *path, const char *place, struct failure *f) {
        struct tree_inode *inode;
        struct stat after;
        int r;

        r = count_bytes(m, (uint64_t) st->st_size, path, f);
        if (r >= 0)
                r = add(m, st, path, place, NULL, &inode, f);
        if (r >= 0)
                r = image_writer_begin(m->writer, inode, f);
        if (r >= 0)
                r = copy(m, fd, st, path, f);
        if (r >= 0)
                r = image_writer_end(m->writer, f);
        if (r < 0)
                return r;
        if (fstat(fd, &after) < 0 || !same_state(st, &after))
                return changed(f, path);
        return 0;
}

static int walk_link(struct merge *m, int dir, const char *name, const struct stat *st, const char *path,
        const char *place, struct failure *f) {
        char target[LIMIT_LINK_TARGET + 2];
        struct tree_inode *inode;
        ssize_t n = readlinkat(dir, name, target, sizeof target - 1);

        if (n < 0)
                return errno == EINVAL || errno == ENOENT ? changed(f, path) : cannot(f, -errno, path);
        if (n == 0 || (size_t) n > LIMIT_LINK_TARGET)
                return refuse(f, -ENAMETOOLONG, path, "the target of the symbolic link is too long");
        target[n] = 0;
        return add(m, st, path, place, target, &inode, f);
}

static int walk_entry(struct merge *m, int dir, const char *name, const char *dir_path, const char *dir_place,
        unsigned depth, struct failure *f);

static int walk_directory(struct merge *m, int fd, const struct stat *st, const char *path, const char *place,
        unsigned depth, struct failure *f) {
        struct tree_inode *inode;
        struct dirent *e;
        DIR *d;
        int r;

        if (depth > m->limits->depth)
                return refuse(f, -E2BIG, path, "it lies too deep (limit \"depth\")");
        r = add(m, st, path, place, NULL, &inode, f);
        if (r < 0)
                return r;
        fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                r = cannot(f, -errno, path);
                (void) close_fd(fd);
                return r;
        }
        while (r >= 0 && (errno = 0, e = readdir(d)))
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        r = walk_entry(m, dirfd(d), e->d_name, path, place, depth, f);
        if (r >= 0 && errno != 0)
                r = cannot(f, -errno, path);
        (void) closedir(d);
        return r;
}

static int walk_open(struct merge *m, int fd, const struct stat *st, const char *path, const char *place,
        unsigned depth, struct failure *f) {
        return S_ISDIR(st->st_mode) ? walk_directory(m, fd, st, path, place, depth, f)
                                    : walk_file(m, fd, st, path, place, f);
}

/* Looked at before it is opened: to open a device or a FIFO would already do something. */
static int walk_entry(struct merge *m, int dir, const char *name, const char *dir_path, const char *dir_place,
        unsigned depth, struct failure *f) {
        g_autofree char *path = g_strconcat(dir_path, "/", name, NULL),
                        *place = g_strconcat(dir_place, "/", name, NULL);
        _cleanup_close_ int fd = -1;
        struct stat st, opened;

        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? changed(f, path) : cannot(f, -errno, path);
        if (S_ISLNK(st.st_mode))
                return walk_link(m, dir, name, &st, path, place, f);
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                return refuse(
                        f, -EINVAL, path, "a device, FIFO or socket; a volume takes files, directories and links");
        fd = openat(dir, name, OPEN_FLAGS);
        if (fd < 0)
                return errno == ENOENT || errno == ELOOP ? changed(f, path) : cannot(f, -errno, path);
        if (fstat(fd, &opened) < 0 || opened.st_ino != st.st_ino || opened.st_dev != st.st_dev)
                return changed(f, path);
        return walk_open(m, fd, &opened, path, place, depth + 1, f);
}

int volume_walk(struct merge *m, int fd, const char *path, const char *place, struct failure *f) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return cannot(f, -errno, path);
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                return refuse(f, -EINVAL, path, "neither a file nor a directory");
        return walk_open(m, fd, &st, path, place, 0, f);
}
