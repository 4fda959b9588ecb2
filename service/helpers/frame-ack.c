/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the one TCP segment that some versions of passt owe the guest. */
#include "helpers/frame-ack.h"

#include <string.h>

#include "helpers/frame-bytes.h"

#define FLAGS_MASK (FIN | SYN | RST | ACK)
#define SYN_ACK (SYN | ACK)
/* Little, and not scaled here: passt tells its own window with its next segment. */
#define WINDOW 0xffU

/* Where the TCP header is, NULL when there is none whole. The IP header's length goes to *ret_header. */
static const uint8_t *find_tcp(const uint8_t *ip, size_t len, size_t *ret_header) {
        if (len >= IPV4_HEADER && ip[0] >> 4 == 4) {
                *ret_header = (size_t) (ip[0] & 15) * 4;
                /* no fragment: neither "more" nor an offset */
                if (*ret_header < IPV4_HEADER || ip[9] != PROTOCOL_TCP || (ip[6] & 0x3f) || ip[7])
                        return NULL;
        } else if (len >= IPV6_HEADER && ip[0] >> 4 == 6) {
                *ret_header = IPV6_HEADER;
                if (ip[6] != PROTOCOL_TCP)
                        return NULL;
        } else
                return NULL;
        return len >= *ret_header + TCP_HEADER ? ip + *ret_header : NULL;
}

/* The IP header of the answer, and the sum of TCP's pseudo header (RFC 9293, 3.1). Returns its length. */
static size_t make_ip(const uint8_t *ip, uint8_t *to, uint32_t *ret_sum) {
        if (ip[0] >> 4 == 4) {
                to[0] = 0x45;
                put16(to + 2, IPV4_HEADER + TCP_HEADER);
                to[8] = 64;
                to[9] = PROTOCOL_TCP;
                memcpy(to + 12, ip + 16, 4);
                memcpy(to + 16, ip + 12, 4);
                put16(to + 10, fold(sum16(to, IPV4_HEADER, 0)));
                *ret_sum = sum16(to + 12, 8, PROTOCOL_TCP + TCP_HEADER);
                return IPV4_HEADER;
        }
        to[0] = 0x60;
        put16(to + 4, TCP_HEADER);
        to[6] = PROTOCOL_TCP;
        to[7] = 64;
        memcpy(to + 8, ip + 24, 16);
        memcpy(to + 24, ip + 8, 16);
        *ret_sum = sum16(to + 8, 32, PROTOCOL_TCP + TCP_HEADER);
        return IPV6_HEADER;
}

static void make_tcp(const uint8_t *tcp, uint8_t *to, uint32_t sum) {
        memcpy(to, tcp + 2, 2);
        memcpy(to + 2, tcp, 2);
        memcpy(to + 4, tcp + 8, 4); /* what it has acknowledged is where we go on */
        put32(to + 8, get32(tcp + 4) + 1);
        to[12] = TCP_HEADER / 4 << 4;
        to[13] = ACK;
        put16(to + 14, WINDOW);
        put16(to + 16, fold(sum16(to, TCP_HEADER, sum)));
}

size_t frame_ack_of(const uint8_t *frame, size_t len, uint8_t ret[FRAME_ACK_MAX]) {
        const uint8_t *ip = frame + ETHERNET_HEADER, *tcp;
        size_t header, made;
        uint32_t sum;

        if (len < ETHERNET_HEADER)
                return 0;
        tcp = find_tcp(ip, len - ETHERNET_HEADER, &header);
        if (!tcp || (tcp[13] & FLAGS_MASK) != SYN_ACK)
                return 0;
        memset(ret, 0, FRAME_ACK_MAX);
        memcpy(ret, frame + 6, 6);
        memcpy(ret + 6, frame, 6);
        memcpy(ret + 12, frame + 12, 2);
        made = make_ip(ip, ret + ETHERNET_HEADER, &sum);
        make_tcp(tcp, ret + ETHERNET_HEADER + made, sum);
        return ETHERNET_HEADER + made + TCP_HEADER;
}
