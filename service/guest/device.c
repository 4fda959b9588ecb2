/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding and awaiting devices. Most are there when their module is loaded; the ports of a virtio console follow a few
 * milliseconds later. So this looks often, for that is shorter than everything an event would bring along. */
#include "guest/device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/fd.h"

#define STEP_FIRST_USEC 500U
#define STEP_LAST_USEC 20000U
#define ATTRIBUTE_MAX 256U

static bool attribute_is(int dir_fd, const char *entry, const char *attribute, const char *value) {
        _cleanup_close_ int fd = -1;
        char path[DEVICE_NAME_MAX + ATTRIBUTE_MAX], buf[ATTRIBUTE_MAX];
        ssize_t n;

        (void) snprintf(path, sizeof(path), "%s/%s", entry, attribute);
        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return false;
        n = read(fd, buf, sizeof(buf));
        while (n > 0 && buf[n - 1] == '\n')
                n--;
        return n >= 0 && (size_t) n == strlen(value) && memcmp(buf, value, (size_t) n) == 0;
}

int device_find(const char *directory, const char *prefix, const char *attribute, const char *value, char *ret) {
        const struct dirent *entry;
        int r = -ENOENT;
        DIR *dir;

        dir = opendir(directory);
        if (!dir)
                return -errno;
        while (r < 0 && (entry = readdir(dir))) {
                if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || strlen(entry->d_name) >= DEVICE_NAME_MAX)
                        continue;
                if (!attribute_is(dirfd(dir), entry->d_name, attribute, value))
                        continue;
                (void) strcpy(ret, entry->d_name);
                r = 0;
        }
        (void) closedir(dir);
        return r;
}

/* Sleeps a little, a bit longer each time; false when the end is reached. */
static bool wait_step(uint64_t end, useconds_t *step) {
        if (now_monotonic() >= end)
                return false;
        (void) usleep(*step);
        *step = *step * 2 > STEP_LAST_USEC ? STEP_LAST_USEC : *step * 2;
        return true;
}

int device_wait(
        const char *directory, const char *prefix, const char *attribute, const char *value, uint64_t usec, char *ret) {
        uint64_t end = now_monotonic() + usec;
        useconds_t step = STEP_FIRST_USEC;
        int r;

        do
                r = device_find(directory, prefix, attribute, value, ret);
        while (r == -ENOENT && wait_step(end, &step));
        return r;
}

int device_open_wait(const char *path, int flags, uint64_t usec) {
        uint64_t end = now_monotonic() + usec;
        useconds_t step = STEP_FIRST_USEC;

        for (;;) {
                int fd = open(path, flags | O_CLOEXEC);

                if (fd >= 0)
                        return fd;
                if ((errno != ENOENT && errno != ENODEV && errno != ENXIO) || !wait_step(end, &step))
                        return -errno;
        }
}
