/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>

#include "netd/names.h"
#include "shared/fd.h"

static int open_queue(const char *name, short flags) {
        _cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        struct ifreq request = {.ifr_flags = flags};

        if (fd < 0)
                return -errno;
        text_copy(request.ifr_name, sizeof request.ifr_name, name);
        if (ioctl(fd, TUNSETIFF, &request) < 0)
                return -errno;
        return take_fd(&fd);
}

int tap_open(const char *name, size_t queues, int *fds) {
        short flags = (short) (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (queues > 1 ? IFF_MULTI_QUEUE : 0));

        for (size_t i = 0; i < queues; i++) {
                /* Only the first may make it, and it may not attach to one that is there. */
                int fd = open_queue(name, (short) (i == 0 ? (unsigned short) flags | IFF_TUN_EXCL : flags));

                if (fd < 0) {
                        while (i > 0)
                                (void) close_fd(fds[--i]);
                        return fd;
                }
                fds[i] = fd;
        }
        return 0;
}
