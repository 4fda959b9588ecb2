/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The power button, as the kernel's evdev sees it. */
#include "guest/buttons.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "shared/fd.h"

static bool has_power_key(int fd) {
        unsigned char keys[KEY_MAX / 8 + 1] = {};

        return ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) >= 0 && (keys[KEY_POWER / 8] & 1U << KEY_POWER % 8);
}

void buttons_open(struct buttons *ret) {
        const struct dirent *entry;
        DIR *dir;

        *ret = (struct buttons){};
        dir = opendir("/dev/input");
        if (!dir)
                return;
        while (ret->n < BUTTONS_MAX && (entry = readdir(dir))) {
                _cleanup_close_ int fd = -1;

                if (strncmp(entry->d_name, "event", 5) != 0)
                        continue;
                fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
                if (fd >= 0 && has_power_key(fd))
                        ret->fds[ret->n++] = take_fd(&fd);
        }
        (void) closedir(dir);
}

bool buttons_pressed(struct buttons *buttons, size_t i) {
        struct input_event event;
        bool pressed = false;
        ssize_t n;

        while ((n = read(buttons->fds[i], &event, sizeof(event))) == (ssize_t) sizeof(event))
                pressed = pressed || (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1);
        /* A device that went away would be readable for ever. */
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                buttons->fds[i] = close_fd(buttons->fds[i]);
        return pressed;
}
