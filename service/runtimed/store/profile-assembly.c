/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns assemblies: a new directory, filled entry by entry from objects, that becomes the current one by one rename. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/confined-open.h"
#include "shared/fd.h"
#include "shared/profile-path.h"
#include "store/profile-store-private.h"

/* A file that a worker reads, in a directory of the new assembly or among the objects: remembered once it was read. */
typedef struct Pending {
        int dir; /* owned */
        char *name;
        ino_t inode;
        char hash[PROFILE_HASH_LENGTH + 1];
} Pending;

struct Assembly {
        ProfileStore *store;
        char *profile, *name, *tmp; /* name: "PROFILE@DIGEST" */
        bool verify, differs;       /* differs: from what is there under the name */
        int old, new;               /* directories; old -1 where there is none */
        char *last_parent;
        int last_dir;    /* of the new assembly, for last_parent */
        GArray *pending; /* Pending */
};

char *assembly_name(const char *profile, const char *digest) {
        return g_strdup_printf("%s@%s", profile, digest);
}

static void pending_clear(void *p) {
        (void) close_fd(((Pending *) p)->dir);
        g_free(((Pending *) p)->name);
}

static void add_pending(Assembly *a, int dir, const char *name, const char *hash) {
        Pending p = {.dir = fcntl(dir, F_DUPFD_CLOEXEC, 3), .name = g_strdup(name)};
        struct stat st;

        p.inode = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_ino;
        g_strlcpy(p.hash, hash, sizeof p.hash);
        g_array_append_val(a->pending, p);
}

/* Whether another entry of this batch has the file read already. */
static bool is_pending(const Assembly *a, ino_t inode, const char *hash) {
        for (guint i = 0; i < a->pending->len; i++) {
                const Pending *p = &g_array_index(a->pending, Pending, i);

                if (p->inode == inode && strcmp(p->hash, hash) == 0)
                        return true;
        }
        return false;
}

/* What was given out before has been read and was what it should be. */
static void settle_pending(Assembly *a) {
        for (guint i = 0; i < a->pending->len; i++) {
                const Pending *p = &g_array_index(a->pending, Pending, i);
                struct stat st;

                if (fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) >= 0 && S_ISREG(st.st_mode))
                        verified_add(a->store->verified, &st, p->hash);
        }
        g_array_set_size(a->pending, 0);
}

/* It has been read and was not what it should be, or was not read: nothing is known of it. */
static void forget_pending(Assembly *a) {
        for (guint i = 0; i < a->pending->len; i++) {
                const Pending *p = &g_array_index(a->pending, Pending, i);
                struct stat st;

                if (fstatat(p->dir, p->name, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                        verified_forget(a->store->verified, &st);
        }
        g_array_set_size(a->pending, 0);
}

static Assembly *assembly_free(Assembly *a) {
        (void) close_fd(a->old);
        (void) close_fd(a->new);
        (void) close_fd(a->last_dir);
        g_array_unref(a->pending);
        g_free(a->last_parent);
        g_free(a->profile);
        g_free(a->name);
        g_free(a->tmp);
        g_free(a);
        return NULL;
}

static int make_dir(int dir, const char *name) {
        int fd;

        if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        return fchmod(fd, 0755) < 0 ? (close_fd(fd), -errno) : fd;
}

int assembly_begin(ProfileStore *s, const char *profile, const char *digest, bool verify, Assembly **ret) {
        Assembly *a;
        int r = 0;

        if (s->assemblies < 0)
                return s->assemblies;
        a = g_new0(Assembly, 1);
        *a = (Assembly){.store = s,
                .profile = g_strdup(profile),
                .name = assembly_name(profile, digest),
                .verify = verify,
                .new = -1,
                .last_dir = -1,
                .pending = g_array_new(FALSE, FALSE, sizeof(Pending))};
        g_array_set_clear_func(a->pending, pending_clear);
        a->old = openat(s->assemblies, a->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        a->differs = a->old < 0;
        if (!verify) {
                a->tmp = profile_store_tmp_name();
                r = a->new = make_dir(s->assemblies, a->tmp);
        }
        if (r < 0) {
                (void) assembly_free(a);
                return r;
        }
        *ret = a;
        return 0;
}

/* The directory of the new assembly in which the path's last part goes. */
static int parent_dir(Assembly *a, const char *path) {
        g_autofree char *parent = g_path_get_dirname(path);
        g_auto(GStrv) parts = NULL;
        int at;

        if (g_strcmp0(parent, a->last_parent) == 0)
                return a->last_dir;
        a->last_dir = close_fd(a->last_dir);
        g_clear_pointer(&a->last_parent, g_free);
        at = fcntl(a->new, F_DUPFD_CLOEXEC, 3);
        parts = strcmp(parent, ".") == 0 ? g_new0(char *, 1) : g_strsplit(parent, "/", -1);
        for (char **p = parts; *p && at >= 0; p++) {
                int next = make_dir(at, *p);

                (void) close_fd(at);
                at = next;
        }
        if (at < 0)
                return at;
        a->last_parent = g_steal_pointer(&parent);
        return a->last_dir = at;
}

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

/* Everybody's to read, and to execute where that is wanted: the VMs' users are nobody's friends. */
static bool mode_fits(const struct stat *st, bool executable) {
        return (st->st_mode & 0444) == 0444 && (!executable || (st->st_mode & 0111) == 0111) &&
               !(st->st_mode & (S_ISUID | S_ISGID));
}

/* A second link to a file, and what was known of it is still known. -EXDEV, -EPERM, -EMLINK: it must be copied. */
static int link_file(Assembly *a, int from, const char *name, const struct stat *before, int to, const char *as) {
        struct stat after;

        if (linkat(from, name, to, as, 0) < 0)
                return -errno;
        if (fstatat(to, as, &after, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (after.st_dev != before->st_dev || after.st_ino != before->st_ino)
                return -ESTALE; /* another file has taken the name in between */
        verified_keep(a->store->verified, before, &after);
        return 0;
}

/* The directory of a path in the assembly of the same digest that is there already. */
static int old_parent(const Assembly *a, const char *path) {
        g_autofree char *parent = g_path_get_dirname(path);

        if (a->old < 0)
                return -ENOENT;
        return strcmp(parent, ".") == 0 ? fcntl(a->old, F_DUPFD_CLOEXEC, 3)
                                        : confined_openat(a->old, parent, O_RDONLY | O_DIRECTORY);
}

/* The entry as it is in the assembly of the same digest, where that one is known to be good. */
static bool take_old(Assembly *a, const char *path, const char *hash, bool executable, int dir) {
        _cleanup_close_ int from = old_parent(a, path);
        struct stat st;

        return from >= 0 && fstatat(from, base_name(path), &st, AT_SYMLINK_NOFOLLOW) >= 0 && S_ISREG(st.st_mode) &&
               mode_fits(&st, executable) && verified_matches(a->store->verified, &st, hash) &&
               link_file(a, from, base_name(path), &st, dir, base_name(path)) >= 0;
}

static const char *object_damage(int r) {
        switch (r) {
        case -ENOENT:
                return "is missing";
        case -ELOOP:
                return "is a symbolic link";
        case -EINVAL:
                return "is not a regular file";
        case -EACCES:
                return "cannot be read by the service";
        default:
                return NULL;
        }
}

/* Opens the object; *ret_damage where it is none. */
static int open_object(ProfileStore *s, const char *hash, struct stat *ret, const char **ret_damage) {
        _cleanup_close_ int fd = -1;
        int r = 0;

        if (s->objects < 0)
                return s->objects;
        fd = openat(s->objects, hash, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, ret) < 0)
                r = -errno;
        else if (!S_ISREG(ret->st_mode))
                r = -EINVAL;
        if (r >= 0)
                return take_fd(&fd);
        *ret_damage = object_damage(r);
        return *ret_damage ? -EBADMSG : r;
}

static int place_verify(Assembly *a, const char *path, const char *hash, AssemblyItem ret[static 2], size_t *ret_n,
        const char **ret_damage) {
        _cleanup_close_ int dir = -1, fd = -1;
        struct stat object, st;

        fd = open_object(a->store, hash, &object, ret_damage);
        if (fd < 0)
                return take_fd(&fd);
        add_pending(a, a->store->objects, hash, hash);
        ret[(*ret_n)++] = (AssemblyItem){take_fd(&fd), -1};
        if (a->old < 0)
                return 0;
        dir = old_parent(a, path);
        fd = dir < 0 ? -1 : openat(dir, base_name(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                *ret_damage = "is not in the assembly any more; call Assemble";
                return -EBADMSG;
        }
        if (st.st_dev == object.st_dev && st.st_ino == object.st_ino)
                return 0;
        add_pending(a, dir, base_name(path), hash);
        ret[(*ret_n)++] = (AssemblyItem){take_fd(&fd), -1};
        return 0;
}

static int place_copy(
        Assembly *a, int dir, const char *path, const char *hash, bool executable, int *object, AssemblyItem *ret) {
        int copy = openat(dir, base_name(path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (copy < 0)
                return -errno;
        if (fchmod(copy, executable ? 0555 : 0444) < 0)
                return close_fd(copy), -errno;
        add_pending(a, dir, base_name(path), hash);
        *ret = (AssemblyItem){take_fd(object), copy};
        return 0;
}

int assembly_place(Assembly *a, const char *path, const char *hash, bool executable, AssemblyItem ret[static 2],
        size_t *ret_n, const char **ret_damage) {
        _cleanup_close_ int object = -1;
        struct stat st;
        int dir, r;

        *ret_n = 0;
        *ret_damage = NULL;
        if (a->verify)
                return place_verify(a, path, hash, ret, ret_n, ret_damage);
        dir = parent_dir(a, path);
        if (dir < 0)
                return dir;
        if (take_old(a, path, hash, executable, dir))
                return 0;
        a->differs = true;
        object = open_object(a->store, hash, &st, ret_damage);
        if (object < 0)
                return take_fd(&object);
        r = mode_fits(&st, executable) ? link_file(a, a->store->objects, hash, &st, dir, base_name(path)) : -EPERM;
        if (r == -EXDEV || r == -EPERM || r == -EMLINK) {
                r = place_copy(a, dir, path, hash, executable, &object, ret);
                *ret_n = r < 0 ? 0 : 1;
                return r;
        }
        if (r < 0)
                return r;
        if (fstatat(dir, base_name(path), &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (verified_matches(a->store->verified, &st, hash) || is_pending(a, st.st_ino, hash))
                return 0;
        add_pending(a, dir, base_name(path), hash);
        ret[(*ret_n)++] = (AssemblyItem){take_fd(&object), -1};
        return 0;
}

void assembly_settle(Assembly *a) {
        settle_pending(a);
}

/* ---- The end ---- */

/* The new directory takes the name; one that was there goes away under the temporary one. */
static int exchange(ProfileStore *s, const char *tmp, const char *name) {
        if (renameat2(s->assemblies, tmp, s->assemblies, name, RENAME_NOREPLACE) >= 0)
                return 0;
        if (errno != EEXIST || renameat2(s->assemblies, tmp, s->assemblies, name, RENAME_EXCHANGE) < 0)
                return -errno;
        profile_store_remove_tree(s, s->assemblies, tmp, NULL);
        return 0;
}

/* One rename, so that a reader finds the old assembly or the new one. */
static int make_current(ProfileStore *s, const char *profile, const char *name) {
        g_autofree char *tmp = profile_store_tmp_name(), *now = profile_store_current(s, profile);
        int r;

        if (now && strcmp(name + strlen(profile) + 1, now) == 0)
                return 0;
        if (symlinkat(name, s->assemblies, tmp) < 0)
                return -errno;
        if (renameat(s->assemblies, tmp, s->assemblies, profile) >= 0)
                return 0;
        /* The system before this one kept a directory there. */
        r = errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST ? exchange(s, tmp, profile) : -errno;
        if (r < 0)
                (void) unlinkat(s->assemblies, tmp, 0);
        return r;
}

int assembly_commit(Assembly *a) {
        ProfileStore *s = a->store;
        int r = 0;

        settle_pending(a);
        if (!a->verify && a->differs) {
                if (fsync(a->new) < 0)
                        r = -errno;
                else
                        r = exchange(s, a->tmp, a->name);
                if (r >= 0)
                        g_clear_pointer(&a->tmp, g_free);
        }
        if (r >= 0 && !a->verify)
                r = make_current(s, a->profile, a->name);
        if (r >= 0 && fsync(s->assemblies) < 0)
                r = -errno;
        (void) assembly_discard(a);
        return r;
}

Assembly *assembly_discard(Assembly *a) {
        ProfileStore *s = a->store;

        forget_pending(a);
        if (a->tmp)
                profile_store_remove_tree(s, s->assemblies, a->tmp, NULL);
        (void) verified_save(s->verified, s->assemblies, VERIFIED_NAME);
        return assembly_free(a);
}

/* ---- What is current ---- */

char *profile_store_current(ProfileStore *s, const char *profile) {
        char target[NAME_MAX + 1];
        size_t n = strlen(profile);
        ssize_t len;

        if (s->assemblies < 0)
                return NULL;
        len = readlinkat(s->assemblies, profile, target, sizeof target - 1);
        if (len < 0)
                return NULL;
        target[len] = 0;
        if (strncmp(target, profile, n) != 0 || target[n] != '@' || !profile_hash_is_valid(target + n + 1))
                return NULL;
        return g_strdup(target + n + 1);
}

int profile_store_open_current(ProfileStore *s, const char *profile) {
        g_autofree char *digest = profile_store_current(s, profile), *name = NULL;
        int fd;

        if (!digest)
                return -ENOENT;
        name = assembly_name(profile, digest);
        fd = openat(s->assemblies, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

bool profile_store_has_program(ProfileStore *s, const char *profile, const char *path) {
        _cleanup_close_ int dir = profile_store_open_current(s, profile), fd = -1;
        struct stat st;

        fd = dir < 0 ? -1 : confined_openat(dir, path, O_PATH);
        return fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && mode_fits(&st, true);
}

void profile_store_clean_assemblies(ProfileStore *s, const char *profile,
        bool (*keep)(const char *digest, void *userdata), void *userdata, uint64_t *ret_bytes, uint32_t *ret_count) {
        g_autofree char *current = profile_store_current(s, profile);
        int fd = s->assemblies < 0 ? -1 : openat(s->assemblies, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        size_t n = strlen(profile);
        struct dirent *e;

        if (!d)
                (void) close_fd(fd);
        while (d && (e = readdir(d))) {
                const char *digest = e->d_name + n + 1;

                if (strncmp(e->d_name, profile, n) != 0 || e->d_name[n] != '@' || !profile_hash_is_valid(digest) ||
                        g_strcmp0(digest, current) == 0 || keep(digest, userdata))
                        continue;
                profile_store_remove_tree(s, s->assemblies, e->d_name, ret_bytes);
                (*ret_count)++;
        }
        if (d)
                (void) closedir(d);
        (void) verified_save(s->verified, s->assemblies, VERIFIED_NAME);
}
