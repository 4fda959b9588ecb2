/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the question whether the kernel killed someone in our control group for its memory. */
#include "monitor/oom.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/fd.h"

#define FILE_MAX 4096U

static char *read_path(const char *path) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        char *text;

        return fd >= 0 && read_file(fd, FILE_MAX, &text, NULL) >= 0 ? text : NULL;
}

int64_t oom_kill_parse(const char *text) {
        static const char key[] = "oom_kill ";

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, sizeof key - 1) == 0)
                        return strtoll(line + sizeof key - 1, NULL, 10);
        }
        return -1;
}

char *cgroup_read(const char *name) {
        char path[PATH_MAX], *text = read_path("/proc/self/cgroup"), *group = text ? strstr(text, "0::/") : NULL;
        bool good = false;

        if (group) {
                group += strlen("0::");
                group[strcspn(group, "\n")] = 0;
                good = snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", group, name) < (int) sizeof path;
        }
        free(text);
        return good ? read_path(path) : NULL;
}

int64_t oom_kill_count(void) {
        char *text = cgroup_read("memory.events");
        int64_t count = text ? oom_kill_parse(text) : -1;

        free(text);
        return count;
}
