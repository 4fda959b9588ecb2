/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's console (the first serial port), as the place where guest init reports. Never waits for it: a host that
 * does not read must not stop the guest. */
#include "guest/console.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest/failure.h"
#include "shared/fd.h"

#define DRAIN_USEC (1000U * 1000U)
#define DRAIN_STEP_USEC 2000U

static int console_fd = -1;

void console_open(void) {
        console_fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
}

void console_say(const char *format, ...) {
        char text[FAILURE_TEXT_MAX], line[FAILURE_TEXT_MAX + 32];
        va_list ap;
        int n;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        failure_clean(text);
        n = snprintf(line, sizeof(line), "mcp-guest-init: %s\n", text);
        /* Nobody is left to tell when this fails. */
        if (console_fd >= 0 && n > 0)
                (void) write_all(console_fd, line, (size_t) n);
}

void console_drain(int fd) {
        uint64_t end = now_monotonic() + DRAIN_USEC;
        int left = 0;

        while (fd >= 0 && ioctl(fd, TIOCOUTQ, &left) == 0 && left > 0 && now_monotonic() < end)
                (void) usleep(DRAIN_STEP_USEC);
}

void console_drain_own(void) {
        console_drain(console_fd);
}
