/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a guest with user networking may send. passt connects wherever a frame says, in the host's own network: also to
 * its loopback and link-local addresses, when a guest that is root routes them so; and the gateway's address is the
 * host's loopback to it.
 *
 * Dropped: all but ARP, IPv4 and IPv6; IPv4 to 0.0.0.0/8, 127.0.0.0/8 and 169.254.0.0/16 (RFC 6890); IPv6 to ::/96 (::1
 * among them) and
 * ::ffff:0:0/96. To the gateway (PASST_GATEWAY) and to fe80::/10 only answers may go, because from there come the
 * connections to published ports that begin on the host's loopback: TCP that does not begin a connection, UDP to a peer
 * that has sent to that port within the time in which passt keeps it; and what a link needs: DHCP, and the neighbour
 * discovery of IPv6 (RFC 4861).
 */

#define FRAME_MAX (65535U + 14U)

#define FRAME_UDP_PEERS 256U
#define FRAME_UDP_USEC (180U * 1000000U) /* UDP_CONN_TIMEOUT of passt's udp.c */

typedef struct FrameGuard {
        struct {
                uint64_t key, until;
        } peers[FRAME_UDP_PEERS]; /* a ring: the newest takes the oldest's place */
        unsigned next;
} FrameGuard;

/* A frame that passt sends to the guest, now in microseconds of CLOCK_MONOTONIC. An Ethernet frame (14 bytes of header
 * first), as below. */
void frame_guard_note(FrameGuard *guard, const uint8_t *frame, size_t len, uint64_t now);

/* What a frame tells its receiver of its sender's addresses: ARP, and neighbour discovery from a link-local or another
 * address. */
typedef enum FrameTelling {
        FRAME_TELLS_ARP,
        FRAME_TELLS_LINK_LOCAL,
        FRAME_TELLS_GLOBAL,
        FRAME_TELLS_MAX,
        FRAME_TELLS_NOTHING = -1,
} FrameTelling;

FrameTelling frame_tells(const uint8_t *frame, size_t len);

/* Whether the guest's frame may go to passt. */
bool frame_guard_allows(const FrameGuard *guard, const uint8_t *frame, size_t len, uint64_t now);
