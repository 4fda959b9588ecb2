/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's file systems. The image is one read-only SquashFS, shared by all VMs of its owner, or a directory of the
 * host by 9p, read-only at both ends; what is written goes to a tmpfs above it, so it counts as guest memory (at most
 * half of it) and is gone with the VM. */
#include "guest/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guest/command-line.h"
#include "guest/console.h"
#include "guest/device.h"
#include "guest/etc-text.h"
#include "shared/fd.h"

/* Directories of the initrd. */
#define LOWER "/lower"
#define WRITABLE "/writable"
#define UPPER WRITABLE "/upper"
#define WORK WRITABLE "/work"
#define NEW_ROOT "/new-root"

#define DISK_WAIT_USEC (30U * 1000U * 1000U)

static int make_directory(const char *path, mode_t mode, struct failure *failure) {
        struct stat st;

        if (mkdir(path, mode) == 0)
                return 0;
        if (errno == EEXIST && lstat(path, &st) == 0) {
                if (S_ISDIR(st.st_mode))
                        return 0;
                /* An image may have a link there; mounting through it would put the mount somewhere else. */
                if (unlink(path) == 0 && mkdir(path, mode) == 0)
                        return 0;
        }
        return failure_set_errno(failure, -errno, "%s", path);
}

static int mount_at(
        const char *type, const char *path, unsigned long flags, const char *options, struct failure *failure) {
        int r;

        r = make_directory(path, 0755, failure);
        if (r < 0)
                return r;
        if (mount(type, path, type, flags, options) < 0 && errno != EBUSY)
                return failure_set_errno(failure, -errno, "mounting %s at %s", type, path);
        return 0;
}

int rootfs_mount_tmpfs(const char *path, unsigned long flags, const char *options, struct failure *failure) {
        return mount_at("tmpfs", path, flags, options, failure);
}

int rootfs_mount_kernel(struct failure *failure) {
        int r;

        r = mount_at("devtmpfs", "/dev", MS_NOSUID, "mode=0755", failure);
        if (r < 0)
                return r;
        console_open();
        r = mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, failure);
        if (r < 0)
                return r;
        return mount_at("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, failure);
}

static int mount_image(const char *tag, struct failure *failure) {
        char name[DEVICE_NAME_MAX], path[sizeof("/dev/") + DEVICE_NAME_MAX];
        int r;

        r = device_wait("/sys/block", "vd", "serial", tag, DISK_WAIT_USEC, name);
        if (r < 0)
                return failure_set(
                        failure, r, "no virtio disk with serial '%s' within %u s", tag, DISK_WAIT_USEC / 1000000);
        r = make_directory(LOWER, 0755, failure);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "/dev/%s", name);
        if (mount(path, LOWER, "squashfs", MS_RDONLY, NULL) == 0)
                return 0;
        if (errno == EINVAL)
                return failure_set(failure, -EINVAL, "root disk '%s': holds no SquashFS, or a broken one", tag);
        if (errno == ENODEV)
                return failure_set(failure, -ENODEV, "this kernel has no SquashFS (module squashfs)");
        return failure_set_errno(failure, -errno, "root disk '%s'", tag);
}

/* The host's directory: as with any initrd, the kernel's command line says that and how it is mounted. */
static int mount_directory(const char *tag, const char *options, struct failure *failure) {
        int r = make_directory(LOWER, 0755, failure);

        if (r < 0)
                return r;
        if (mount(tag, LOWER, "9p", MS_RDONLY, options) == 0)
                return 0;
        if (errno == ENODEV)
                return failure_set(failure, -ENODEV, "the root directory: this kernel has no 9p (module 9p)");
        return failure_set_errno(failure, -errno, "the root directory, 9p device '%s'", tag);
}

#define COMMAND_LINE_MAX 4096U

static int mount_root(const char *tag, struct failure *failure) {
        _cleanup_close_ int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
        char type[16], flags[256];
        char *line = NULL;
        int r;

        r = fd < 0 ? -errno : read_file(fd, COMMAND_LINE_MAX, &line, NULL);
        if (r < 0)
                return failure_set_errno(failure, r, "/proc/cmdline");
        if (command_line_value(line, "rootfstype", type, sizeof(type)) && strcmp(type, "9p") == 0)
                r = mount_directory(
                        tag, command_line_value(line, "rootflags", flags, sizeof(flags)) ? flags : NULL, failure);
        else
                r = mount_image(tag, failure);
        free(line);
        return r;
}

/* The upper directory gives the new root its owner and mode. */
static int make_upper(struct failure *failure) {
        struct stat st;
        int r;

        r = mount_at("tmpfs", WRITABLE, 0, "mode=0755", failure);
        if (r < 0)
                return r;
        r = make_directory(UPPER, 0755, failure);
        if (r < 0)
                return r;
        r = make_directory(WORK, 0755, failure);
        if (r < 0)
                return r;
        if (stat(LOWER, &st) < 0 || chown(UPPER, st.st_uid, st.st_gid) < 0 || chmod(UPPER, st.st_mode & 07777) < 0)
                return failure_set_errno(failure, -errno, "%s", UPPER);
        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        /* Mount points stay, and with them the directories above. */
        if (type == FTW_DP)
                (void) rmdir(path);
        else
                (void) unlink(path);
        return 0;
}

/* What the initrd holds takes memory as long as it is there. */
static void free_initrd(void) {
        struct statfs fs;

        if (statfs("/", &fs) < 0 || (fs.f_type != RAMFS_MAGIC && fs.f_type != TMPFS_MAGIC))
                return;
        (void) nftw("/", remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static int move_mount_to(const char *from, const char *to, struct failure *failure) {
        int r;

        r = make_directory(to, 0755, failure);
        if (r < 0)
                return r;
        if (mount(from, to, NULL, MS_MOVE, NULL) < 0)
                return failure_set_errno(failure, -errno, "moving %s", from);
        return 0;
}

static int switch_root(struct failure *failure) {
        int r;

        r = move_mount_to("/dev", NEW_ROOT "/dev", failure);
        if (r < 0)
                return r;
        r = move_mount_to("/proc", NEW_ROOT "/proc", failure);
        if (r < 0)
                return r;
        r = move_mount_to("/sys", NEW_ROOT "/sys", failure);
        if (r < 0)
                return r;
        free_initrd();
        if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
                return failure_set_errno(failure, -errno, "changing the root");
        return 0;
}

static bool directory_is_empty(const char *path) {
        const struct dirent *entry;
        bool empty = true;
        DIR *dir;

        dir = opendir(path);
        if (!dir)
                return true;
        while (empty && (entry = readdir(dir)))
                empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        (void) closedir(dir);
        return empty;
}

/* Many images bring directories of their own below /run, made for their user; a tmpfs would hide them, and the overlay
 * is in memory all the same. */
static int set_up_run(struct failure *failure) {
        int r;

        r = make_directory("/run", 0755, failure);
        if (r < 0 || !directory_is_empty("/run"))
                return r;
        return mount_at("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755", failure);
}

static int set_up_mounts(struct failure *failure) {
        struct stat st;
        int r;

        r = mount_at("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666", failure);
        if (r < 0)
                return r;
        r = mount_at("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777", failure);
        if (r < 0)
                return r;
        r = set_up_run(failure);
        if (r < 0)
                return r;
        if (lstat("/tmp", &st) == 0 && S_ISDIR(st.st_mode) && chmod("/tmp", 01777) < 0)
                return failure_set_errno(failure, -errno, "/tmp");
        return 0;
}

static void link_standard_devices(void) {
        static const char *const links[][2] = {
                {"/proc/self/fd", "/dev/fd"},
                {"/proc/self/fd/0", "/dev/stdin"},
                {"/proc/self/fd/1", "/dev/stdout"},
                {"/proc/self/fd/2", "/dev/stderr"},
        };

        for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
                if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
                        console_say("%s: %s", links[i][1], strerror(errno));
}

int rootfs_enter(const char *tag, struct failure *failure) {
        int r;

        r = mount_root(tag, failure);
        if (r < 0)
                return r;
        r = make_upper(failure);
        if (r < 0)
                return r;
        r = mount_at("overlay", NEW_ROOT, 0, "lowerdir=" LOWER ",upperdir=" UPPER ",workdir=" WORK, failure);
        if (r < 0)
                return r;
        r = switch_root(failure);
        if (r < 0)
                return r;
        link_standard_devices();
        return set_up_mounts(failure);
}

/* A new file in place of whatever the image has there, a link too. */
static int write_file(const char *path, const char *text, struct failure *failure) {
        _cleanup_close_ int fd = -1;
        int r;

        if (!text)
                return failure_set_errno(failure, -ENOMEM, "%s", path);
        if (unlink(path) < 0 && errno != ENOENT)
                return failure_set_errno(failure, -errno, "%s", path);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
                return failure_set_errno(failure, -errno, "%s", path);
        r = write_all(fd, text, strlen(text));
        return r < 0 ? failure_set_errno(failure, r, "%s", path) : 0;
}

static int write_hostname(const char *name, struct failure *failure) {
        char text[256];

        if (sethostname(name, strlen(name)) < 0)
                return failure_set_errno(failure, -errno, "host name '%s'", name);
        (void) snprintf(text, sizeof(text), "%s\n", name);
        return write_file("/etc/hostname", text, failure);
}

int rootfs_write_names(const struct boot_message *message, struct failure *failure) {
        char *text;
        int r = 0;

        if (mkdir("/etc", 0755) < 0 && errno != EEXIST)
                return failure_set_errno(failure, -errno, "/etc");
        if (message->hostname)
                r = write_hostname(message->hostname, failure);
        if (r < 0)
                return r;
        text = etc_hosts_text(message);
        r = write_file("/etc/hosts", text, failure);
        free(text);
        if (r < 0 || message->dns.n + message->search.n == 0)
                return r;
        text = etc_resolv_text(message);
        r = write_file("/etc/resolv.conf", text, failure);
        free(text);
        return r;
}
