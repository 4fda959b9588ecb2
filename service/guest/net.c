/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's network: static IPv4, as the boot message says. */
#include "guest/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "guest/console.h"
#include "guest/device.h"
#include "shared/fd.h"

#define INTERFACE "eth0"
#define INTERFACE_WAIT_USEC (5U * 1000U * 1000U)

static void set_sockaddr(struct sockaddr *ret, in_addr_t address) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};

        memcpy(ret, &in, sizeof(in));
}

static int link_up(int sock, const char *name) {
        struct ifreq request = {};

        (void) snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
        if (ioctl(sock, SIOCGIFFLAGS, &request) < 0)
                return -errno;
        request.ifr_flags |= IFF_UP;
        return ioctl(sock, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

static int set_address(int sock, unsigned long what, in_addr_t address) {
        struct ifreq request = {};

        (void) snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", INTERFACE);
        set_sockaddr(&request.ifr_addr, address);
        return ioctl(sock, what, &request) < 0 ? -errno : 0;
}

static int add_route(int sock, in_addr_t to, in_addr_t mask, in_addr_t gateway) {
        struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = (char *) INTERFACE};

        set_sockaddr(&route.rt_dst, to);
        set_sockaddr(&route.rt_genmask, mask);
        set_sockaddr(&route.rt_gateway, gateway);
        if (gateway)
                route.rt_flags |= RTF_GATEWAY;
        if (mask == INADDR_NONE)
                route.rt_flags |= RTF_HOST;
        return ioctl(sock, SIOCADDRT, &route) < 0 && errno != EEXIST ? -errno : 0;
}

#define DISCARD_PORT 9 /* RFC 863 */

/* One datagram that nobody wants: the kernel asks for the gateway by ARP and so shows the guest's MAC to the other side. passt
 * sends to the broadcast MAC until it has heard the guest, and Linux drops TCP that comes that way (RFC 1122, 4.2.3.10), so
 * the first connection to a published port would hang. */
static void be_heard(int sock, in_addr_t gateway) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(DISCARD_PORT), .sin_addr.s_addr = gateway};

        if (sendto(sock, "", 1, MSG_DONTWAIT, (struct sockaddr *) &to, sizeof to) < 0)
                console_say("network: the gateway: %s", strerror(errno));
}

static int set_up_eth0(int sock, const struct boot_message *message, struct failure *failure) {
        in_addr_t mask = htonl(~0U << (32 - message->prefix)), gateway = message->gateway.s_addr;
        char name[DEVICE_NAME_MAX];
        int r;

        r = device_wait("/sys/class/net", INTERFACE, "type", "1", INTERFACE_WAIT_USEC, name);
        if (r < 0)
                return failure_set(
                        failure, r, "network: the boot message has an address, but there is no %s", INTERFACE);
        r = set_address(sock, SIOCSIFADDR, message->address.s_addr);
        if (r >= 0)
                r = set_address(sock, SIOCSIFNETMASK, mask);
        if (r >= 0)
                r = link_up(sock, INTERFACE);
        if (r < 0)
                return failure_set_errno(failure, r, "network: address of %s", INTERFACE);
        if (!message->has_gateway)
                return 0;

        /* A gateway outside the prefix (a /32, as clouds hand out) is reached on the link itself. */
        if ((gateway & mask) != (message->address.s_addr & mask))
                r = add_route(sock, gateway, INADDR_NONE, 0);
        if (r >= 0)
                r = add_route(sock, 0, 0, gateway);
        if (r < 0)
                return failure_set_errno(failure, r, "network: route to the gateway");
        be_heard(sock, gateway);
        return 0;
}

int net_set_up(const struct boot_message *message, struct failure *failure) {
        _cleanup_close_ int sock = -1;
        int r;

        sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (sock < 0)
                return failure_set_errno(failure, -errno, "network");
        r = link_up(sock, "lo");
        if (r < 0)
                console_say("network: lo: %s", strerror(-r));
        return message->has_address ? set_up_eth0(sock, message, failure) : 0;
}
