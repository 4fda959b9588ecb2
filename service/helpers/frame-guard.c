/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps the guests of user networking from the host's loopback and link-local addresses. */
#include "helpers/frame-guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shared/fd.h"

#define ETHERNET_HEADER 14U
#define TYPE_IPV4 0x0800U
#define TYPE_ARP 0x0806U
#define TYPE_IPV6 0x86ddU
#define IPV4_HEADER 20U
#define IPV6_HEADER 40U
#define NEXT_ICMPV6 58U

static bool ipv4_may_leave(const uint8_t *packet, size_t len) {
        const uint8_t *to = packet + 16;

        if (len < IPV4_HEADER || packet[0] >> 4 != 4)
                return false;
        return to[0] != 0 && to[0] != 127 && !(to[0] == 169 && to[1] == 254);
}

static bool ipv6_may_leave(const uint8_t *packet, size_t len) {
        static const uint8_t zeros[12] = {0}, mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        const uint8_t *to = packet + 24;

        if (len < IPV6_HEADER || packet[0] >> 4 != 6)
                return false;
        if (memcmp(to, zeros, sizeof zeros) == 0 || memcmp(to, mapped, sizeof mapped) == 0)
                return false;
        if (to[0] == 0xfe && (to[1] & 0xc0) == 0x80) /* fe80::/10: solicitations and advertisements, types 133 to 136 */
                return packet[6] == NEXT_ICMPV6 && len > IPV6_HEADER && packet[IPV6_HEADER] >= 133 &&
                       packet[IPV6_HEADER] <= 136;
        return true;
}

bool frame_may_leave(const uint8_t *frame, size_t len) {
        uint16_t type;

        if (len < ETHERNET_HEADER)
                return false;
        type = (uint16_t) (frame[12] << 8 | frame[13]);
        if (type == TYPE_IPV4)
                return ipv4_may_leave(frame + ETHERNET_HEADER, len - ETHERNET_HEADER);
        if (type == TYPE_IPV6)
                return ipv6_may_leave(frame + ETHERNET_HEADER, len - ETHERNET_HEADER);
        return type == TYPE_ARP;
}

/* Takes the whole frames at the front of buf, moves those that may leave together, and sends them. Returns how many bytes were taken,
 * or -1 at the end. */
static ssize_t forward(uint8_t *buf, size_t len, int to) {
        size_t taken = 0, kept = 0;

        for (;;) {
                uint32_t size;

                if (len - taken < sizeof size)
                        break;
                memcpy(&size, buf + taken, sizeof size);
                size = ntohl(size);
                if (size > FRAME_MAX)
                        return -1;
                if (len - taken < sizeof size + size)
                        break;
                if (frame_may_leave(buf + taken + sizeof size, size)) {
                        memmove(buf + kept, buf + taken, sizeof size + size);
                        kept += sizeof size + size;
                }
                taken += sizeof size + size;
        }
        /* What was kept lies before what was taken: sending it leaves the rest of buf alone. */
        return write_all(to, buf, kept) < 0 ? -1 : (ssize_t) taken;
}

void frame_guard_run(int from, int to) {
        static uint8_t buf[2 * (sizeof(uint32_t) + FRAME_MAX)];
        size_t len = 0;

        for (;;) {
                ssize_t n = read(from, buf + len, sizeof buf - len), taken;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return;
                len += (size_t) n;
                taken = forward(buf, len, to);
                if (taken < 0)
                        return;
                len -= (size_t) taken;
                memmove(buf, buf + taken, len);
        }
}

void frame_copy_run(int from, int to) {
        static uint8_t buf[128 * 1024];

        for (;;) {
                ssize_t n = read(from, buf, sizeof buf);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0 || write_all(to, buf, (size_t) n) < 0)
                        return;
        }
}
