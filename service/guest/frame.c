/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames of the guest port: bytes in, frames out. Which types mean something is the caller's knowledge. */
#include "guest/frame.h"

#include <string.h>

#define HEADER_BYTES sizeof(struct guest_frame_header)

static uint16_t get_u16(const uint8_t *p) {
        return (uint16_t) (p[0] | p[1] << 8);
}

uint32_t frame_get_u32(const uint8_t bytes[static 4]) {
        return (uint32_t) bytes[0] | (uint32_t) bytes[1] << 8 | (uint32_t) bytes[2] << 16 | (uint32_t) bytes[3] << 24;
}

void frame_put_u32(uint8_t bytes[static 4], uint32_t value) {
        for (unsigned i = 0; i < 4; i++)
                bytes[i] = (uint8_t) (value >> (8 * i));
}

size_t frame_encode(void *buf, size_t size, uint16_t type, const void *payload, size_t length) {
        uint8_t *p = buf;

        if (length > GUEST_FRAME_MAX || size < HEADER_BYTES + length)
                return 0;
        p[0] = (uint8_t) type;
        p[1] = (uint8_t) (type >> 8);
        p[2] = (uint8_t) length;
        p[3] = (uint8_t) (length >> 8);
        if (length > 0)
                memcpy(p + HEADER_BYTES, payload, length);
        return HEADER_BYTES + length;
}

static void skip(struct frame_reader *reader) {
        size_t there = reader->end - reader->start;
        size_t n = there < reader->skip ? there : reader->skip;

        reader->start += n;
        reader->skip -= n;
}

size_t frame_reader_feed(struct frame_reader *reader, const void *data, size_t len) {
        size_t room;

        memmove(reader->buf, reader->buf + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;

        room = sizeof(reader->buf) - reader->end;
        if (len > room)
                len = room;
        memcpy(reader->buf + reader->end, data, len);
        reader->end += len;
        return len;
}

bool frame_reader_next(struct frame_reader *reader, struct frame *ret) {
        for (;;) {
                const uint8_t *p;
                uint16_t length;

                skip(reader);
                if (reader->skip > 0 || reader->end - reader->start < HEADER_BYTES)
                        return false;
                p = reader->buf + reader->start;
                length = get_u16(p + 2);
                if (length > GUEST_FRAME_MAX) {
                        reader->start += HEADER_BYTES;
                        reader->skip = length;
                        continue;
                }
                if (reader->end - reader->start < HEADER_BYTES + length)
                        return false;
                reader->start += HEADER_BYTES + length;
                *ret = (struct frame){.type = get_u16(p), .length = length, .payload = p + HEADER_BYTES};
                return true;
        }
}
