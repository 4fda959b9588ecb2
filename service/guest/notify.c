/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket that programs notify. A descriptor that comes along (BARRIER=1) is closed by the kernel, as there is no
 * room for it: that is all its sender waits for. */
#include "guest/notify.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/fd.h"

#define NOTIFY_DIRECTORY "/run/mcp"
#define DATAGRAM_MAX 4096U
#define DATAGRAMS_A_TURN 32U /* then others have their turn */

int notify_open(void) {
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = NOTIFY_PATH};
        _cleanup_close_ int fd = -1;

        if (mkdir(NOTIFY_DIRECTORY, 0755) < 0 && errno != EEXIST)
                return -errno;
        if (unlink(NOTIFY_PATH) < 0 && errno != ENOENT)
                return -errno;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        /* The program may be any user of the guest. */
        if (chmod(NOTIFY_PATH, 0666) < 0)
                return -errno;
        return take_fd(&fd);
}

void notify_read(int fd, struct notification *ret) {
        static char text[DATAGRAM_MAX];

        *ret = (struct notification){};
        for (unsigned i = 0; i < DATAGRAMS_A_TURN; i++) {
                ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT | MSG_TRUNC);
                struct notification one;

                if (n < 0)
                        return;
                if ((size_t) n > sizeof(text)) /* cut off: what is at its end is not what was said */
                        continue;
                notification_parse(text, (size_t) n, &one);
                ret->ready = ret->ready || one.ready;
                ret->watchdog = ret->watchdog || one.watchdog;
        }
}
