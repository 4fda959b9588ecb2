/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest writes on its port: the monitor's reader, in one piece and in many. */
#include <stdlib.h>
#include <string.h>

#include "monitor/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
        unsigned frames;
        size_t bytes;
};

static void sink(void *userdata, const struct frame *frame) {
        struct seen *seen = userdata;

        seen->frames++;
        seen->bytes += frame->text_len;
        if (frame->type == GUEST_ERROR)
                for (size_t i = 0; i < frame->text_len; i++)
                        seen->bytes += (unsigned char) frame->text[i];
        if (frame->type == GUEST_PROBE && frame->probe >= GUEST_PROBES)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct frames whole = {}, pieces = {};
        struct seen a = {}, b = {};
        int r = frames_feed(&whole, data, size, sink, &a), q = 0;

        for (size_t i = 0; i < size && q >= 0; i++)
                q = frames_feed(&pieces, data + i, 1, sink, &b);
        if (r != q || a.frames != b.frames || a.bytes != b.bytes)
                abort();
        return 0;
}
