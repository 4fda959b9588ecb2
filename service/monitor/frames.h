/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/guest-wire.h"

/* One frame of the guest, checked: what it is and that its length fits. */
struct frame {
        enum guest_frame_type type;
        uint32_t version;     /* GUEST_HELLO */
        uint32_t how, status; /* GUEST_EXIT */
        uint32_t probe;       /* GUEST_PROBE: enum guest_probe */
        bool good;            /* and whether it was */
        const char *text;     /* GUEST_ERROR, borrowed, not terminated, any bytes */
        size_t text_len;
};

typedef void (*frames_sink_t)(void *userdata, const struct frame *frame);

/* Collects frames from a byte stream that the guest wrote. Zeroed at start. */
struct frames {
        size_t len;
        uint8_t buf[sizeof(struct guest_frame_header) + GUEST_FRAME_MAX];
};

/* Gives out every whole frame. -EBADMSG at the first that no guest init would send; the port is of no use then. */
int frames_feed(struct frames *frames, const void *data, size_t len, frames_sink_t sink, void *userdata);

/* Writes a frame to the guest into buf, FRAME_OUT_MAX bytes; returns its length. number only for GUEST_SIGNAL. */
#define FRAME_OUT_MAX 8U
size_t frame_format(uint8_t *buf, enum guest_frame_type type, uint32_t number);
