/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Volumes: entries of SquashFS images, each bound to its own path. The image is mounted
 * out of the way for that, and what the entry's place holds on to is all that stays of it. */
#include "guest/mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/console.h"
#include "guest/device.h"
#include "shared/fd.h"

#define STAGE "/run/.mcp-stage" /* one image at a time */
#define DISK_WAIT_USEC (30U * 1000U * 1000U)
#define VOLUME_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV)

/* Makes what is missing of a path, its last part a directory or a file. Links of the image are followed: all of it is
 * the guest's. */
static int make_place(const char *path, bool directory, struct failure *failure) {
        char copy[PATH_MAX];
        size_t len = strlen(path);
        int fd;

        if (len >= sizeof(copy))
                return failure_set_errno(failure, -ENAMETOOLONG, "%s", path);
        memcpy(copy, path, len + 1);
        for (size_t i = 1; i < len; i++)
                if (copy[i] == '/') {
                        copy[i] = 0;
                        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                                return failure_set_errno(failure, -errno, "making %s for the mount at %s", copy, path);
                        copy[i] = '/';
                }
        if (directory) {
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        return failure_set_errno(failure, -errno, "making %s to mount at", path);
                return 0;
        }
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 && errno != EEXIST)
                return failure_set_errno(failure, -errno, "making %s to mount at", path);
        (void) close_fd(fd);
        return 0;
}

static int find_disk(const char *serial, char path[sizeof("/dev/") + DEVICE_NAME_MAX], struct failure *failure) {
        char name[DEVICE_NAME_MAX];
        int r = device_wait("/sys/block", "vd", "serial", serial, DISK_WAIT_USEC, name);

        if (r < 0)
                return failure_set(
                        failure, r, "no virtio disk with serial '%s' within %u s", serial, DISK_WAIT_USEC / 1000000);
        (void) snprintf(path, sizeof("/dev/") + DEVICE_NAME_MAX, "/dev/%s", name);
        return 0;
}

static int open_stage(const char *serial, struct failure *failure) {
        char device[sizeof("/dev/") + DEVICE_NAME_MAX];
        int r = find_disk(serial, device, failure);

        if (r < 0)
                return r;
        if (mkdir(STAGE, 0700) < 0 && errno != EEXIST)
                return failure_set_errno(failure, -errno, STAGE);
        if (mount(device, STAGE, "squashfs", VOLUME_FLAGS, NULL) < 0)
                return failure_set_errno(failure, -errno, "the image of the %s", serial);
        return 0;
}

static void close_stage(void) {
        (void) umount2(STAGE, MNT_DETACH);
        (void) rmdir(STAGE);
}

static int bind_entry(const char *entry, const char *path, struct failure *failure) {
        char source[sizeof(STAGE) + 1 + MOUNT_TAG_MAX];
        struct stat st;
        int r;

        (void) snprintf(source, sizeof(source), STAGE "/%s", entry);
        if (lstat(source, &st) < 0)
                return failure_set_errno(failure, -errno, "the volume for %s", path);
        r = make_place(path, S_ISDIR(st.st_mode), failure);
        if (r < 0)
                return r;
        if (mount(source, path, NULL, MS_BIND, NULL) < 0 ||
                mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | VOLUME_FLAGS, NULL) < 0)
                return failure_set_errno(failure, -errno, "mounting the volume at %s", path);
        return 0;
}

static int mount_volume(const struct boot_mount *m, struct failure *failure) {
        const char *slash = strchr(m->tag, '/');
        char serial[MOUNT_TAG_MAX] = "";
        int r;

        if (!slash)
                return failure_set(failure, -EBADMSG, "the volume for %s has no image", m->path);
        memcpy(serial, m->tag, (size_t) (slash - m->tag));
        r = open_stage(serial, failure);
        if (r < 0)
                return r;
        r = bind_entry(slash + 1, m->path, failure);
        close_stage();
        return r;
}

/* ---- Disks ---- */

#define DISKS_MAX 16U

static char disks[DISKS_MAX][PATH_MAX]; /* where they are mounted, in the order of that */
static size_t n_disks;

static int mount_disk(const struct boot_mount *m, struct failure *failure) {
        char device[sizeof("/dev/") + DEVICE_NAME_MAX];
        int r;

        if (n_disks == DISKS_MAX || strlen(m->path) >= PATH_MAX)
                return failure_set(failure, -E2BIG, "too many disks, or too long a path for one: %s", m->path);
        r = find_disk(m->tag, device, failure);
        if (r >= 0)
                r = make_place(m->path, true, failure);
        if (r < 0)
                return r;
        if (mount(device, m->path, "ext4", MS_NODEV, "discard") < 0) {
                if (errno == ENODEV)
                        return failure_set(failure, -ENODEV, "the disk for %s: this kernel has no ext4", m->path);
                return failure_set_errno(failure, -errno, "mounting the disk at %s", m->path);
        }
        (void) strcpy(disks[n_disks++], m->path);
        return 0;
}

/* Nothing in it but what mkfs puts there, and nobody's but root's. */
static bool is_as_new(const char *path) {
        const struct dirent *e;
        struct stat st;
        bool good = true;
        DIR *d;

        if (stat(path, &st) < 0 || st.st_uid != 0 || st.st_gid != 0)
                return false;
        d = opendir(path);
        if (!d)
                return false;
        while (good && (e = readdir(d)))
                good = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                       strcmp(e->d_name, "lost+found") == 0;
        (void) closedir(d);
        return good;
}

void mounts_give(const struct account *account) {
        for (size_t i = 0; i < n_disks; i++)
                if (is_as_new(disks[i]))
                        (void) chown(disks[i], account->uid, account->gid);
}

void mounts_end(void) {
        while (n_disks > 0) {
                const char *path = disks[--n_disks];

                if (umount2(path, 0) < 0 && mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
                        console_say("the disk at %s could not be unmounted: %s", path, strerror(errno));
        }
}

/* ---- Shares ---- */

static int mount_share(const struct boot_mount *m, struct failure *failure) {
        int r = make_place(m->path, true, failure);

        if (r < 0)
                return r;
        if (mount(m->tag, m->path, "9p", VOLUME_FLAGS, "trans=virtio,version=9p2000.L,msize=131072") == 0)
                return 0;
        if (errno == ENODEV)
                return failure_set(failure, -ENODEV, "the share for %s: this kernel has no 9p", m->path);
        return failure_set_errno(failure, -errno, "mounting the share at %s", m->path);
}

static int (*const verbs[MOUNT_KINDS])(const struct boot_mount *m, struct failure *failure) = {
        [MOUNT_VOLUME] = mount_volume,
        [MOUNT_DISK] = mount_disk,
        [MOUNT_SHARE] = mount_share,
};

int mounts_make(const struct boot_message *message, struct failure *failure) {
        for (size_t i = 0; i < message->mounts.n; i++) {
                struct boot_mount m;
                int r = boot_mount_parse(message->mounts.items[i], &m);

                if (r >= 0)
                        r = verbs[m.kind](&m, failure);
                if (r < 0)
                        return r;
        }
        return 0;
}
