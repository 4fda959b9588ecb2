/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps the guests of user networking from the host's loopback and link-local addresses. */
#include "helpers/frame-guard.h"

#include <arpa/inet.h>
#include <string.h>

#include "helpers/frame-bytes.h"
#include "shared/launch-wire.h"

#define NEXT_UDP 17U
#define NEXT_ICMPV6 58U
#define PORTS 4U      /* TCP and UDP begin with them: source, destination */
#define TCP_FLAGS 13U /* where they are in its header */
#define DHCP_SERVER 67U
#define DHCPV6_SERVER 547U

/* The parts of a packet that count here. */
typedef struct Packet {
        bool v4;
        uint8_t next;
        const uint8_t *from, *to; /* addresses */
        const uint8_t *payload;   /* NULL: there is none to be read, or it is a fragment */
        size_t len;               /* of the payload */
} Packet;

static bool parse_ipv4(const uint8_t *p, size_t len, Packet *ret) {
        size_t header = len > 0 ? (size_t) (p[0] & 15) * 4 : 0;
        bool fragment;

        if (len < IPV4_HEADER || p[0] >> 4 != 4)
                return false;
        fragment = (p[6] & 0x3f) || p[7];
        *ret = (Packet){.v4 = true, .next = p[9], .from = p + 12, .to = p + 16};
        if (header >= IPV4_HEADER && header <= len && !fragment) {
                ret->payload = p + header;
                ret->len = len - header;
        }
        return true;
}

static bool parse_ipv6(const uint8_t *p, size_t len, Packet *ret) {
        if (len < IPV6_HEADER || p[0] >> 4 != 6)
                return false;
        *ret = (Packet){
                .next = p[6], .from = p + 8, .to = p + 24, .payload = p + IPV6_HEADER, .len = len - IPV6_HEADER};
        return true;
}

/* False for what is neither IPv4 nor IPv6, or too short for its header. */
static bool parse(const uint8_t *frame, size_t len, Packet *ret) {
        uint16_t type;

        if (len < ETHERNET_HEADER)
                return false;
        type = get16(frame + 12);
        if (type == TYPE_IPV4)
                return parse_ipv4(frame + ETHERNET_HEADER, len - ETHERNET_HEADER, ret);
        return type == TYPE_IPV6 && parse_ipv6(frame + ETHERNET_HEADER, len - ETHERNET_HEADER, ret);
}

static bool is_arp(const uint8_t *frame, size_t len) {
        return len >= ETHERNET_HEADER && get16(frame + 12) == TYPE_ARP;
}

/* Where only answers may go. */
static bool is_host(bool v4, const uint8_t *address) {
        struct in_addr gateway;

        if (!v4)
                return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
        (void) inet_pton(AF_INET, PASST_GATEWAY, &gateway);
        return memcmp(address, &gateway, sizeof gateway) == 0;
}

static bool is_nowhere(bool v4, const uint8_t *to) {
        static const uint8_t zeros[12] = {0}, mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

        if (v4)
                return to[0] == 0 || to[0] == 127 || (to[0] == 169 && to[1] == 254);
        return memcmp(to, zeros, sizeof zeros) == 0 || memcmp(to, mapped, sizeof mapped) == 0;
}

static uint64_t key_of(bool v4, const uint8_t *peer_port, const uint8_t *guest_port) {
        return (uint64_t) 1 << 40 | (uint64_t) v4 << 32 | (uint64_t) peer_port[0] << 24 |
               (uint64_t) peer_port[1] << 16 | (uint64_t) guest_port[0] << 8 | guest_port[1];
}

static bool is_known(const FrameGuard *guard, uint64_t key, uint64_t now) {
        for (size_t i = 0; i < FRAME_UDP_PEERS; i++)
                if (guard->peers[i].key == key && guard->peers[i].until > now)
                        return true;
        return false;
}

void frame_guard_note(FrameGuard *guard, const uint8_t *frame, size_t len, uint64_t now) {
        Packet p;
        uint64_t key;

        if (!parse(frame, len, &p) || p.next != NEXT_UDP || !p.payload || p.len < PORTS || !is_host(p.v4, p.from))
                return;
        key = key_of(p.v4, p.payload, p.payload + 2);
        for (size_t i = 0; i < FRAME_UDP_PEERS; i++)
                if (guard->peers[i].key == key) {
                        guard->peers[i].until = now + FRAME_UDP_USEC;
                        return;
                }
        guard->peers[guard->next].key = key;
        guard->peers[guard->next].until = now + FRAME_UDP_USEC;
        guard->next = (guard->next + 1) % FRAME_UDP_PEERS;
}

static bool may_answer(const FrameGuard *guard, const Packet *p, uint64_t now) {
        uint16_t port;

        if (!p->payload || p->len < PORTS)
                return false;
        switch (p->next) {
        case PROTOCOL_TCP:
                return p->len > TCP_FLAGS && (p->payload[TCP_FLAGS] & (SYN | ACK)) != SYN;
        case NEXT_UDP:
                port = (uint16_t) (p->payload[2] << 8 | p->payload[3]);
                return port == (p->v4 ? DHCP_SERVER : DHCPV6_SERVER) ||
                       is_known(guard, key_of(p->v4, p->payload + 2, p->payload), now);
        case NEXT_ICMPV6: /* solicitations and advertisements */
                return !p->v4 && p->payload[0] >= 133 && p->payload[0] <= 136;
        default:
                return false;
        }
}

FrameTelling frame_tells(const uint8_t *frame, size_t len) {
        static const uint8_t unspecified[16] = {0};
        Packet p;

        if (is_arp(frame, len))
                return FRAME_TELLS_ARP;
        if (!parse(frame, len, &p) || p.v4 || p.next != NEXT_ICMPV6 || p.len < 1 || p.payload[0] < 135 ||
                p.payload[0] > 136 || memcmp(p.from, unspecified, sizeof unspecified) == 0)
                return FRAME_TELLS_NOTHING;
        return is_host(false, p.from) ? FRAME_TELLS_LINK_LOCAL : FRAME_TELLS_GLOBAL;
}

bool frame_guard_allows(const FrameGuard *guard, const uint8_t *frame, size_t len, uint64_t now) {
        Packet p;

        if (!parse(frame, len, &p))
                return is_arp(frame, len);
        if (is_nowhere(p.v4, p.to))
                return false;
        return !is_host(p.v4, p.to) || may_answer(guard, &p, now);
}
