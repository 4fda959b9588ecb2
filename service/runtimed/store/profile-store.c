/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the directories of a store of profiles: manifests and objects. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/atomic-file.h"
#include "shared/fd.h"
#include "shared/profile-path.h"
#include "store/profile-store-private.h"

#define TREE_DEPTH_MAX (PROFILE_PATH_DEPTH_MAX + 1)
#define OBJECT_MODE 0444
#define PROGRAM_MODE 0555

/* A directory that is there, or that can be made. */
static int open_dir(int dir, const char *name) {
        bool made = mkdirat(dir, name, 0700) >= 0;
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        /* VMs reach assemblies by a descriptor; the way by names is closed above, by the state directory. */
        if (made && fchmod(fd, 0755) < 0)
                return close_fd(fd), -errno;
        return fd;
}

static DIR *open_listing(int dir) {
        int fd = dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d)
                (void) close_fd(fd);
        return d;
}

static bool is_dots(const char *name) {
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* ---- Removing ---- */

static void remove_file(ProfileStore *s, int dir, const char *name, uint64_t *ret_bytes) {
        _cleanup_close_ int fd = openat(dir, name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
        struct stat before, after;

        if (fd < 0 || fstat(fd, &before) < 0 || unlinkat(dir, name, 0) < 0 || !S_ISREG(before.st_mode))
                return;
        if (fstat(fd, &after) >= 0 && after.st_nlink > 0)
                verified_keep(s->verified, &before, &after);
        else if (ret_bytes)
                *ret_bytes += (uint64_t) before.st_blocks * 512;
}

static void remove_tree(ProfileStore *s, int dir, const char *name, uint64_t *ret_bytes, unsigned depth) {
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct dirent *e;
        DIR *d;

        if (fd < 0) {
                remove_file(s, dir, name, ret_bytes);
                return;
        }
        d = depth < TREE_DEPTH_MAX ? open_listing(fd) : NULL;
        while (d && (e = readdir(d)))
                if (!is_dots(e->d_name))
                        remove_tree(s, fd, e->d_name, ret_bytes, depth + 1);
        if (d)
                (void) closedir(d);
        (void) unlinkat(dir, name, AT_REMOVEDIR);
}

void profile_store_remove_tree(ProfileStore *s, int dir, const char *name, uint64_t *ret_bytes) {
        remove_tree(s, dir, name, ret_bytes, 0);
}

/* What a daemon that died has left. */
static void remove_temporary(ProfileStore *s, int dir) {
        DIR *d = open_listing(dir);
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (g_str_has_prefix(e->d_name, ATOMIC_TMP_PREFIX))
                        profile_store_remove_tree(s, dir, e->d_name, NULL);
        if (d)
                (void) closedir(d);
}

/* ---- The store ---- */

int profile_store_open(const char *path, ProfileStore **ret) {
        _cleanup_close_ int root = -1, cas = -1;
        ProfileStore *s;

        if (mkdir(path, 0755) >= 0 && chmod(path, 0755) < 0)
                return -errno;
        root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return -errno;
        cas = open_dir(root, "cas");
        s = g_new0(ProfileStore, 1);
        s->path = g_strdup(path);
        s->refs = cas < 0 ? cas : open_dir(cas, "refs");
        s->objects = cas < 0 ? cas : open_dir(cas, "objects");
        s->assemblies = open_dir(root, "qemu");
        s->verified = verified_load(s->assemblies, VERIFIED_NAME);
        remove_temporary(s, s->refs);
        remove_temporary(s, s->objects);
        remove_temporary(s, s->assemblies);
        *ret = s;
        return 0;
}

ProfileStore *profile_store_free(ProfileStore *s) {
        if (!s)
                return NULL;
        (void) close_fd(s->refs);
        (void) close_fd(s->objects);
        (void) close_fd(s->assemblies);
        (void) verified_free(s->verified);
        g_free(s->path);
        g_free(s);
        return NULL;
}

const char *profile_store_path(const ProfileStore *s) {
        return s->path;
}

char *profile_store_tmp_name(void) {
        g_autofree char *uuid = g_uuid_string_random();

        return g_strconcat(ATOMIC_TMP_PREFIX, uuid, NULL);
}

static int create(int dir, char **ret_tmp) {
        g_autofree char *name = profile_store_tmp_name();
        int fd;

        if (dir < 0)
                return dir;
        fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        *ret_tmp = g_steal_pointer(&name);
        return fd;
}

/* ---- Manifests ---- */

GPtrArray *profile_store_refs(ProfileStore *s) {
        GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
        DIR *d = open_listing(s->refs);
        struct dirent *e;

        while (d && names->len < PROFILE_REFS_MAX && (e = readdir(d)))
                if (e->d_name[0] != '.' && g_str_has_suffix(e->d_name, ".json"))
                        g_ptr_array_add(names, g_strdup(e->d_name));
        if (d)
                (void) closedir(d);
        return names;
}

static int open_file(int dir, const char *name, struct stat *ret_st) {
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

        if (fd < 0 || fstat(fd, ret_st) < 0)
                return -errno;
        return S_ISREG(ret_st->st_mode) ? take_fd(&fd) : -EINVAL;
}

int profile_store_open_ref(ProfileStore *s, const char *file, char **ret_id) {
        struct stat st;
        int fd;

        fd = open_file(s->refs, file, &st);
        if (fd < 0)
                return fd;
        *ret_id = g_strdup_printf("%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "-%" G_GINT64_FORMAT
                                  ".%09ld",
                (guint64) st.st_dev, (guint64) st.st_ino, (guint64) st.st_size, (gint64) st.st_ctim.tv_sec,
                st.st_ctim.tv_nsec);
        return fd;
}

int profile_store_remove_ref(ProfileStore *s, const char *file) {
        return unlinkat(s->refs, file, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int profile_store_create_ref(ProfileStore *s, char **ret_tmp) {
        return create(s->refs, ret_tmp);
}

void profile_store_discard_ref(ProfileStore *s, const char *tmp) {
        (void) unlinkat(s->refs, tmp, 0);
}

int profile_store_commit_ref(ProfileStore *s, const char *tmp, const char *file) {
        if (fchmodat(s->refs, tmp, OBJECT_MODE, 0) < 0 || renameat(s->refs, tmp, s->refs, file) < 0 ||
                fsync(s->refs) < 0)
                return -errno;
        return 0;
}

/* ---- Objects ---- */

int profile_store_create_object(ProfileStore *s, char **ret_tmp) {
        return create(s->objects, ret_tmp);
}

void profile_store_discard_object(ProfileStore *s, const char *tmp) {
        (void) unlinkat(s->objects, tmp, 0);
}

int profile_store_create_scratch(ProfileStore *s) {
        g_autofree char *tmp = NULL;
        int fd = create(s->objects, &tmp);

        if (fd >= 0)
                profile_store_discard_object(s, tmp);
        return fd;
}

int profile_store_open_object(ProfileStore *s, const char *hash) {
        struct stat st;

        return open_file(s->objects, hash, &st);
}

int profile_store_commit_object(ProfileStore *s, const char *tmp, const char *hash, bool executable) {
        struct stat st;

        if (fstatat(s->objects, hash, &st, AT_SYMLINK_NOFOLLOW) >= 0 && S_ISREG(st.st_mode) &&
                verified_matches(s->verified, &st, hash)) {
                profile_store_discard_object(s, tmp);
                return 0;
        }
        if (fchmodat(s->objects, tmp, executable ? PROGRAM_MODE : OBJECT_MODE, 0) < 0 ||
                renameat(s->objects, tmp, s->objects, hash) < 0)
                return -errno;
        return 0;
}

int profile_store_sync(ProfileStore *s) {
        return s->objects < 0 ? s->objects : fsync(s->objects) < 0 ? -errno : 0;
}

void profile_store_objects(ProfileStore *s, ProfileObjectFound found, void *userdata) {
        DIR *d = open_listing(s->objects);
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (profile_hash_is_valid(e->d_name))
                        found(e->d_name, userdata);
        if (d)
                (void) closedir(d);
}

int profile_store_remove_object(ProfileStore *s, const char *hash, uint64_t *ret_bytes) {
        *ret_bytes = 0;
        remove_file(s, s->objects, hash, ret_bytes);
        return faccessat(s->objects, hash, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT ? 0 : -EIO;
}
