/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * passt 0.0~git20230309 (Debian 12) does not acknowledge a guest's SYN-ACK before the client says something: a service
 * that speaks first (SMTP, FTP, many databases) and its client wait for each other, for ever. So the ACK is sent in
 * passt's name. Newer versions send it themselves; one more of the same means nothing in TCP (RFC 9293, 3.10.7.4).
 */

#define FRAME_ACK_MAX 74U /* Ethernet, IPv6, TCP without options */

/* Writes the ACK that answers frame (Ethernet, len bytes) to ret and returns its length; 0 when frame is no SYN-ACK. */
size_t frame_ack_of(const uint8_t *frame, size_t len, uint8_t ret[FRAME_ACK_MAX]);
