/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel modules in the initrd. */
#include "guest/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/console.h"
#include "shared/fd.h"

#define LIST_MAX (64U * 1024U)

static int load(const char *path) {
        _cleanup_close_ int fd = -1;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)
                return -errno;
        return 0;
}

void modules_load(const char *list) {
        _cleanup_close_ int fd = -1;
        char *text = NULL, *save = NULL;
        int r;

        fd = open(list, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : read_file(fd, LIST_MAX, &text, NULL);
        if (r < 0) {
                console_say("%s: %s; going on with what the kernel has built in", list, strerror(-r));
                return;
        }
        for (const char *path = strtok_r(text, "\n", &save); path; path = strtok_r(NULL, "\n", &save)) {
                r = load(path);
                if (r < 0)
                        console_say("module %s: %s", path, strerror(-r));
        }
        free(text);
}
