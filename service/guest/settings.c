/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The few kernel settings that differ from the kernel's own. */
#include "guest/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guest/console.h"
#include "shared/fd.h"

static const struct {
        const char *path;
        const char *value;
} settings[] = {
        /* The virtio console is written with its buffers waited for, so the interrupts of a busy one find nothing to
         * do. After 100000 of those the kernel would take the line for broken and disable it, and with it the way in
         * for the host's stop request. */
        {"/sys/module/spurious/parameters/noirqdebug", "Y"},
        /* What images count on since container engines set it: a user may listen on port 80 and send a ping. */
        {"/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"},
        {"/proc/sys/net/ipv4/ping_group_range", "0 2147483647"},
};

static int apply(const char *path, const char *value) {
        _cleanup_close_ int fd = -1;

        fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 ? -errno : write_all(fd, value, strlen(value));
}

void settings_apply(void) {
        for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
                int r = apply(settings[i].path, settings[i].value);

                if (r < 0)
                        console_say("%s: %s", settings[i].path, strerror(-r));
        }
}
