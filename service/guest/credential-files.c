/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The directory of the credentials: a tmpfs of its own, so that they are in no overlay and end with the VM. */
#include "guest/credential-files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/credentials.h"
#include "guest/rootfs.h"
#include "shared/fd.h"
#include "shared/guest-wire.h"

#define ITEM_PATH "/sys/firmware/qemu_fw_cfg/by_name/" GUEST_CREDENTIALS_ITEM "/raw"
#define FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static int make_file(int dir, const struct credential *c, const struct account *account, struct failure *failure) {
        _cleanup_close_ int fd = openat(dir, c->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
        int r = fd < 0 ? -errno : write_all(fd, c->value, c->size);

        if (r >= 0 && fchown(fd, account->uid, account->gid) < 0)
                r = -errno;
        return r < 0 ? failure_set_errno(failure, r, "credential '%s'", c->name) : 0;
}

static int make_files(
        int dir, const uint8_t *data, size_t len, const struct account *account, struct failure *failure) {
        struct credential c;
        size_t at = 0;
        int r;

        while ((r = credential_next(data, len, &at, &c)) > 0) {
                r = make_file(dir, &c, account, failure);
                if (r < 0)
                        return r;
        }
        return r < 0 ? failure_set(failure, r, "credentials: not in the form that was agreed on") : 0;
}

static int make_directory(const uint8_t *data, size_t len, const struct account *account, struct failure *failure) {
        _cleanup_close_ int dir = -1;
        int r;

        r = rootfs_mount_tmpfs(GUEST_CREDENTIALS_DIRECTORY, FLAGS, "mode=0700", failure);
        if (r < 0)
                return r;
        dir = open(GUEST_CREDENTIALS_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (dir < 0)
                return failure_set_errno(failure, -errno, GUEST_CREDENTIALS_DIRECTORY);
        r = make_files(dir, data, len, account, failure);
        if (r < 0)
                return r;
        if (fchown(dir, account->uid, account->gid) < 0 || fchmod(dir, 0500) < 0)
                return failure_set_errno(failure, -errno, GUEST_CREDENTIALS_DIRECTORY);
        dir = close_fd(dir);
        if (mount(NULL, GUEST_CREDENTIALS_DIRECTORY, NULL, MS_REMOUNT | MS_RDONLY | FLAGS, "mode=0500") < 0)
                return failure_set_errno(failure, -errno, "making " GUEST_CREDENTIALS_DIRECTORY " read-only");
        return 0;
}

int credential_files_make(const struct account *account, struct failure *failure) {
        _cleanup_close_ int fd = open(ITEM_PATH, O_RDONLY | O_CLOEXEC);
        char *data = NULL;
        size_t len;
        int r;

        if (fd < 0)
                return errno == ENOENT ? 0 : failure_set_errno(failure, -errno, "credentials: %s", ITEM_PATH);
        r = read_file(fd, GUEST_CREDENTIALS_MAX, &data, &len);
        if (r < 0)
                return failure_set_errno(failure, r, "credentials");
        r = make_directory((const uint8_t *) data, len, account, failure);
        explicit_bzero(data, len);
        free(data);
        return r < 0 ? r : 1;
}
