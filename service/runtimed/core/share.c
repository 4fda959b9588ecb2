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

static int open_one(VM *vm, const char *text, Problem **ret_problem) {
        _cleanup_close_ int fd = -1;
        HostMount m = {};
        int r = host_mount_parse(text, &m);

        if (r >= 0)
                fd = r = open_beneath(vm->runtime->config->volume_roots, m.host);
        if (fd >= 0 && !is_for_everybody(fd))
                r = -EACCES;
        if (r < 0)
                r = problem_set(ret_problem, "InvalidSpec", "Shares",
                        "Shares: %s: %s (expected a directory that everybody may read, below VolumeRoots= and behind no "
                        "symbolic link)",
                        text, g_strerror(-r));
        host_mount_clear(&m);
        return r < 0 ? r : take_fd(&fd);
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
