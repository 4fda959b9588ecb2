/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a guest with user networking may send. passt connects wherever a frame says, in the host's own network: also to its loopback and
 * link-local addresses, when a guest that is root routes them so. --no-map-gw only takes the gateway's alias away.
 * Let through: ARP; IPv4 but to 0.0.0.0/8, 127.0.0.0/8 and 169.254.0.0/16 (RFC 6890); IPv6 but to ::/96 (::1 among them), ::ffff:0:0/96 and
 * fe80::/10, where only the neighbour discovery that a link needs is taken (RFC 4861).
 */

#define FRAME_MAX (65535U + 14U)

/* An Ethernet frame (14 bytes of header first). */
bool frame_may_leave(const uint8_t *frame, size_t len);

/* Copies frames from one stream socket to the other, each with its length before it (u32, network byte order: QEMU's stream netdev
 * and passt), and drops those that may not leave. Returns at the end of either, or when the stream is none of frames. Both block. */
void frame_guard_run(int from, int to);

/* The way back: everything. */
void frame_copy_run(int from, int to);
