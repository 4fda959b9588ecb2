/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The sum that checksums of frames are made of (RFC 1071), by another way than the service goes: over what a checksum
 * covers, itself included, it is all ones. more: of what comes before. */
static inline uint32_t frame_sum(const uint8_t *p, size_t len, uint32_t more) {
        for (size_t i = 0; i < len; i++)
                more += (uint32_t) p[i] << (i % 2 ? 0 : 8);
        while (more >> 16)
                more = (more & 0xffff) + (more >> 16);
        return more;
}
