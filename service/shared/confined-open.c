/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/confined-open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/fd.h"

int confined_open(const char *root, const char *path, int flags) {
        _cleanup_close_ int root_fd = -1;
        struct open_how how = {
                .flags = (uint64_t) (unsigned) (flags | O_CLOEXEC),
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
        };
        size_t n = strlen(root);
        long fd;

        while (n > 1 && root[n - 1] == '/')
                n--;
        if (root[0] != '/' || strncmp(path, root, n) != 0)
                return -EXDEV;
        if (n > 1 && path[n] != '/' && path[n] != 0)
                return -EXDEV;
        path += n;
        while (*path == '/')
                path++;

        root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        fd = syscall(SYS_openat2, root_fd, *path ? path : ".", &how, sizeof how);
        return fd < 0 ? -errno : (int) fd;
}
