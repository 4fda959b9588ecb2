/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the question whether the kernel killed someone in our control group for its memory. */
#include "monitor/oom.h"

#include <fcntl.h>
#include <limits.h>
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

int64_t oom_kill_count(void) {
        char path[PATH_MAX], *text, *group = NULL;
        int64_t count;

        text = read_path("/proc/self/cgroup");
        if (text)
                group = strstr(text, "0::/");
        if (group) {
                group += strlen("0::");
                group[strcspn(group, "\n")] = 0;
        }
        if (!group || snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.events", group) >= (int) sizeof path) {
                free(text);
                return -1;
        }
        free(text);

        text = read_path(path);
        count = text ? oom_kill_parse(text) : -1;
        free(text);
        return count;
}
