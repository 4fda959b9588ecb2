/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the question whether this program dies here. Only in programs built for the crash walk. */
#include "shared/crash-point.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/fd.h"

#define DIRECTORY "/run/mcp-crash/"

/* A file and a FIFO: helpers see both read-only and have no other way to take what only one of them may have. */
static int take_token(void) {
        _cleanup_close_ int fd = open(DIRECTORY "tokens", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        char byte;

        return fd >= 0 && read(fd, &byte, 1) == 1;
}

void crash_point_reached(enum crash_point point) {
        _cleanup_close_ int fd = open(DIRECTORY "point", O_RDONLY | O_CLOEXEC);
        char text[16] = "";

        if (fd < 0 || read(fd, text, sizeof text - 1) <= 0 || atoi(text) != (int) point || !take_token())
                return;
        (void) kill(getpid(), SIGKILL);
        for (;;)
                (void) pause();
}
