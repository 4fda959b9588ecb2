/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the bytes of the guest port: frames of guest-wire.h in both directions. Trusts nothing. */
#include "monitor/frames.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static uint32_t read_u32(const uint8_t *p) {
        uint32_t v;

        memcpy(&v, p, sizeof v);
        return le32toh(v);
}

static int parse(uint16_t type, const uint8_t *p, size_t len, struct frame *ret) {
        struct frame f = {.type = (enum guest_frame_type) type};

        switch (type) {
        case GUEST_HELLO:
                if (len != 4 || read_u32(p) == 0)
                        return -EBADMSG;
                f.version = read_u32(p);
                break;
        case GUEST_READY:
                if (len != 0)
                        return -EBADMSG;
                break;
        case GUEST_EXIT:
                if (len != 8)
                        return -EBADMSG;
                f.how = read_u32(p);
                f.status = read_u32(p + 4);
                if (f.how > 1 || f.status > 255 || (f.how == 1 && f.status == 0))
                        return -EBADMSG;
                break;
        case GUEST_PROBE:
                if (len != 8 || read_u32(p) >= GUEST_PROBES || read_u32(p + 4) > 1)
                        return -EBADMSG;
                f.probe = read_u32(p);
                f.good = read_u32(p + 4) == 1;
                break;
        case GUEST_ERROR:
                f.text = (const char *) p;
                f.text_len = len;
                break;
        default:
                return -EBADMSG;
        }
        *ret = f;
        return 0;
}

int frames_feed(struct frames *frames, const void *data, size_t len, frames_sink_t sink, void *userdata) {
        const uint8_t *p = data;
        struct guest_frame_header h;
        struct frame frame;

        for (;;) {
                size_t want = sizeof h, take;
                uint16_t length = 0;

                if (frames->len >= sizeof h) {
                        memcpy(&h, frames->buf, sizeof h);
                        length = le16toh(h.length);
                        if (length > GUEST_FRAME_MAX)
                                return -EBADMSG;
                        want += length;
                }
                if (frames->len >= sizeof h && frames->len == want) {
                        int r = parse(le16toh(h.type), frames->buf + sizeof h, length, &frame);

                        if (r < 0)
                                return r;
                        frames->len = 0;
                        sink(userdata, &frame);
                        continue;
                }
                if (len == 0)
                        return 0;
                take = want - frames->len < len ? want - frames->len : len;
                memcpy(frames->buf + frames->len, p, take);
                frames->len += take;
                p += take;
                len -= take;
        }
}

size_t frame_format(uint8_t *buf, enum guest_frame_type type, uint32_t number) {
        uint32_t payload = htole32(number);
        size_t len = type == GUEST_SIGNAL ? sizeof payload : 0;
        struct guest_frame_header h = {.type = htole16((uint16_t) type), .length = htole16((uint16_t) len)};

        memcpy(buf, &h, sizeof h);
        memcpy(buf + sizeof h, &payload, len);
        return sizeof h + len;
}
