/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* FNV-1a with 64 bits (draft-eastlake-fnv-17), of texts that nobody chooses to hurt us. */

#define FNV1A_BEGIN 0xcbf29ce484222325U

/* Goes on with a hash, or begins with FNV1A_BEGIN. */
static inline uint64_t fnv1a(uint64_t hash, const char *text) {
        for (; *text; text++)
                hash = (hash ^ (uint8_t) *text) * 0x100000001b3U;
        return hash;
}
