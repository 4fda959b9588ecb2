/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What all readers and makers of frames need of them: Ethernet (IEEE 802.3), IPv4 (RFC 791), IPv6 (RFC 8200) and TCP (RFC
 * 9293). Lengths are those of headers without options. */

#define ETHERNET_HEADER 14U
#define TYPE_IPV4 0x0800U
#define TYPE_ARP 0x0806U
#define TYPE_IPV6 0x86ddU
#define IPV4_HEADER 20U
#define IPV6_HEADER 40U
#define TCP_HEADER 20U
#define PROTOCOL_TCP 6U

/* Of TCP's flags. */
#define FIN 0x01U
#define SYN 0x02U
#define RST 0x04U
#define PSH 0x08U
#define ACK 0x10U

static inline uint16_t get16(const uint8_t *p) {
        return (uint16_t) (p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p) {
        return (uint32_t) get16(p) << 16 | get16(p + 2);
}

static inline void put16(uint8_t *p, uint32_t v) {
        p[0] = (uint8_t) (v >> 8);
        p[1] = (uint8_t) v;
}

static inline void put32(uint8_t *p, uint32_t v) {
        put16(p, v >> 16);
        put16(p + 2, v);
}

/* Goes on with the sum that checksums are made of (RFC 1071); only the last part of one may have an odd length. */
static inline uint32_t sum16(const uint8_t *p, size_t len, uint32_t sum) {
        for (; len > 1; p += 2, len -= 2)
                sum += get16(p);
        return len > 0 ? sum + ((uint32_t) *p << 8) : sum;
}

/* The checksum; over what holds its own, 0 says that it is right. */
static inline uint32_t fold(uint32_t sum) {
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return ~sum & 0xffff;
}
