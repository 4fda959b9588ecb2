/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories of the host for 9p. They are only found here (O_PATH, through no link): nothing of them is read in the daemon. */
#include "core/share.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "model/mount.h"
#include "shared/confined-open.h"
#include "shared/fd.h"

static int open_beneath(char *const *roots, const char *path) {
        int r = -EXDEV;

        for (; *roots; roots++) {
                int fd = confined_open(*roots, path, O_PATH | O_DIRECTORY);

                if (fd >= 0)
                        return fd;
                if (r == -EXDEV)
                        r = fd;
        }
        return r;
}

/* What others may not read QEMU may not either: it has a user of its own. */
static bool is_for_everybody(int fd) {
        struct stat st;

        return fstat(fd, &st) == 0 && (st.st_mode & 0005) == 0005;
}

/* Below one of the configured roots, and everybody's. */
static int open_shown(const VM *vm, const char *path) {
        int fd = open_beneath(vm->runtime->config->volume_roots, path);

        if (fd >= 0 && !is_for_everybody(fd)) {
                (void) close_fd(fd);
                return -EACCES;
        }
        return fd;
}

#define DIRECTORY_ACCEPTED                                                                                             \
        "(expected a directory that everybody may read, below VolumeRoots= and behind no symbolic link)"

int root_directory_open(VM *vm, Problem **ret_problem) {
        const char *path = vm->record->spec->root_directory;
        int fd = open_shown(vm, path);

        if (fd >= 0)
                return fd;
        return problem_set(ret_problem, "InvalidSpec", "RootDirectory", "RootDirectory: %s: %s " DIRECTORY_ACCEPTED,
                path, g_strerror(-fd));
}

static int open_one(VM *vm, const char *text, Problem **ret_problem) {
        HostMount m = {};
        int r = host_mount_parse(text, &m);

        if (r >= 0)
                r = open_shown(vm, m.host);
        if (r < 0)
                r = problem_set(ret_problem, "InvalidSpec", "Shares", "Shares: %s: %s " DIRECTORY_ACCEPTED, text,
                        g_strerror(-r));
        host_mount_clear(&m);
        return r;
}

int shares_open(VM *vm, int fds[static SPEC_SHARES_MAX], size_t *ret_n, Problem **ret_problem) {
        size_t n = 0;

        for (char **s = vm->record->spec->shares; *s && n < SPEC_SHARES_MAX; s++) {
                fds[n] = open_one(vm, *s, ret_problem);
                if (fds[n] < 0) {
                        int r = fds[n];

                        while (n > 0)
                                (void) close_fd(fds[--n]);
                        return r;
                }
                n++;
        }
        *ret_n = n;
        return 0;
}
