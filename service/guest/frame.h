/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/guest-wire.h"

/* The frames of the port org.mcp.guest, see shared/guest-wire.h. Allocates nothing: it has to work when the guest has
 * no memory left. */

#define FRAME_BYTES_MAX (sizeof(struct guest_frame_header) + GUEST_FRAME_MAX)

/* Writes a frame into buf and returns its length; 0 when it does not fit into size or length is above
 * GUEST_FRAME_MAX. */
size_t frame_encode(void *buf, size_t size, uint16_t type, const void *payload, size_t length);

/* The number in 4 little endian bytes, and the other way. */
uint32_t frame_get_u32(const uint8_t bytes[static 4]);
void frame_put_u32(uint8_t bytes[static 4], uint32_t value);

/* What has come in. Zeroed at the start. */
struct frame_reader {
        size_t start; /* of what is not handed out yet */
        size_t end;
        size_t skip; /* bytes of an overlong frame still to be thrown away */
        uint8_t buf[FRAME_BYTES_MAX];
};

struct frame {
        uint16_t type;
        uint16_t length;
        const uint8_t *payload; /* in the reader, until the next frame_reader_feed() */
};

/* Takes as many bytes as there is room for and returns how many; a reader whose frames are fetched with
 * frame_reader_next() always takes at least one. */
size_t frame_reader_feed(struct frame_reader *reader, const void *data, size_t len);

/* Fetches the next whole frame that is not overlong. */
bool frame_reader_next(struct frame_reader *reader, struct frame *ret);
