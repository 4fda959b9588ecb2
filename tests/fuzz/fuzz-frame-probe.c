/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest sends to a probe made of frames: segments of TCP in good packets, and frames as they are. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/shared/frame-sum.h"
#include "helpers/frame-bytes.h"
#include "helpers/frame-probe.h"
#include "shared/launch-wire.h"

#define SEGMENT_MIN 20U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A packet with right sums around the segment, whose ports are the probe's and whose ACK counts from its first byte. */
static void wrap(const FrameProbe *probe, const uint8_t *segment, size_t len, uint8_t *frame) {
        uint8_t *ip = frame + 14, *tcp = ip + 20;
        uint32_t ack;

        memset(frame, 0, 34);
        frame[12] = 8;
        ip[0] = 0x45;
        put16(ip + 2, (uint32_t) (20 + len));
        ip[9] = 6;
        (void) inet_pton(AF_INET, USER_NET_ADDRESS, ip + 12);
        (void) inet_pton(AF_INET, PASST_GATEWAY, ip + 16);
        put16(ip + 10, ~frame_sum(ip, 20, 0));
        memcpy(tcp, segment, len);
        put16(tcp, probe->guest_port);
        put16(tcp + 2, probe->port);
        memcpy(&ack, tcp + 8, 4);
        ack = htonl(ntohl(ack) + probe->first);
        memcpy(tcp + 8, &ack, 4);
        put16(tcp + 16, 0);
        put16(tcp + 16, ~frame_sum(tcp, len, frame_sum(ip + 12, 8, 6 + (uint32_t) len)));
}

/* Returns whether it was answered. */
static bool give(FrameProbe *probe, const uint8_t *chunk, size_t len, bool raw, uint64_t now) {
        uint8_t *frame = malloc(34 + len);
        FrameOut out = {.len = 0};

        if (!frame)
                abort();
        if (raw || len < SEGMENT_MIN)
                memcpy(frame, chunk, len);
        else {
                wrap(probe, chunk, len, frame);
                len += 34;
        }
        if (frame_probe_number(frame, len) == 0)
                (void) frame_probe_take(probe, frame, len, now, &out);
        free(frame);
        if (out.len > sizeof out.frame || probe->answer_len > sizeof probe->answer || probe->sent > probe->request_len ||
                probe->acked > probe->sent)
                abort();
        return out.len > 0;
}

/* Chunks: a byte of which 1 is "as it is", 2 "the time goes on", then a length, then so many bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const FrameLink link = {.known = true};
        const struct probe_plan plan = {.kind = PROBE_HTTP, .port = 80, .interval = 1000000, .timeout = 1000000, .path = "/"};
        unsigned answers = 0;
        uint64_t now = 1000000;
        FrameProbe probe;
        FrameOut out;

        frame_probe_init(&probe, 0, &plan, &link, 0);
        frame_probe_begin(&probe, now);
        (void) frame_probe_tick(&probe, now, &out);
        while (size >= 2) {
                size_t len = data[1] < size - 2 ? data[1] : size - 2;

                answers += give(&probe, data + 2, len, data[0] & 1, now);
                if (data[0] & 2) {
                        now = frame_probe_due(&probe) > now ? frame_probe_due(&probe) : now;
                        if (probe.state == FRAME_PROBE_IDLE)
                                answers = 0;
                        (void) frame_probe_tick(&probe, now, &out);
                }
                if (answers > FRAME_PROBE_BUDGET || probe.state == FRAME_PROBE_OFF)
                        abort();
                data += 2 + len;
                size -= 2 + len;
        }
        return 0;
}
