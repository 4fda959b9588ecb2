/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks a path part by part, through no symbolic link. */
#include "shared/confined-open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "shared/fd.h"

/* Cuts the next part off *path into part. False at the end. */
static bool next_part(const char **path, char part[static NAME_MAX + 1], size_t *len) {
        while (**path == '/')
                (*path)++;
        *len = strcspn(*path, "/");
        if (*len == 0)
                return false;
        if (*len <= NAME_MAX) {
                memcpy(part, *path, *len);
                part[*len] = 0;
        }
        *path += *len;
        return true;
}

int confined_openat(int dir_fd, const char *path, int flags) {
        _cleanup_close_ int at = -1;
        char part[NAME_MAX + 1];
        size_t len;

        if (*path == '/' || !next_part(&path, part, &len))
                return -EXDEV;
        for (;;) {
                bool last = path[strspn(path, "/")] == 0;
                int fd;

                if (len > NAME_MAX)
                        return -ENAMETOOLONG;
                if (strcmp(part, "..") == 0)
                        return -EXDEV;
                fd = openat(
                        at >= 0 ? at : dir_fd, part, (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                if (last)
                        return fd;
                (void) close_fd(at);
                at = fd;
                (void) next_part(&path, part, &len);
        }
}

int confined_open(const char *root, const char *path, int flags) {
        _cleanup_close_ int root_fd = -1;
        size_t n = strlen(root);

        while (n > 1 && root[n - 1] == '/')
                n--;
        if (root[0] != '/' || strncmp(path, root, n) != 0 || (n > 1 && path[n] != '/'))
                return -EXDEV;

        root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return -errno;
        path += n;
        return confined_openat(root_fd, path + strspn(path, "/"), flags);
}
