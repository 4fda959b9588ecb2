/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/probe-text.h"

/*
 * Probes a guest of user networking by frames of its own: a client of TCP that is just large enough to be told the
 * status of an HTTP answer (RFC 9293, 9112). Pure: frames and the time (microseconds, monotonic) in, at most one frame
 * out, and a result. Connections come from the gateway's address (PASST_GATEWAY) and ports that no client of the host
 * gets without asking for them by number, and passt has no business with them: what the guest sends there is taken off
 * the way to passt. Nothing that the guest sends is believed beyond its part of the conversation, and no attempt sends
 * more than FRAME_PROBE_BUDGET frames whatever comes.
 */

#define FRAME_PROBE_PORTS 16U /* of one probe, in turns: a guest may keep an old connection for a while */
#define FRAME_PROBE_BUDGET 64U
#define FRAME_PROBE_FRAME_MAX (14U + 20U + 20U + HTTP_REQUEST_MAX)

/* The Ethernet addresses of both sides, from what passt sends to the guest. */
typedef struct FrameLink {
        bool known;
        uint8_t guest[6], gateway[6];
} FrameLink;

void frame_link_note(FrameLink *link, const uint8_t *frame, size_t len);

typedef enum FrameProbeResult {
        FRAME_PROBE_PENDING,
        FRAME_PROBE_GOOD,
        FRAME_PROBE_BAD,
} FrameProbeResult;

typedef enum FrameProbeState {
        FRAME_PROBE_OFF,
        FRAME_PROBE_IDLE, /* between two attempts */
        FRAME_PROBE_SYN,  /* asked for a connection */
        FRAME_PROBE_OPEN, /* asked for the page */
} FrameProbeState;

/* A frame for the guest; len 0: none. */
typedef struct FrameOut {
        size_t len;
        uint8_t frame[FRAME_PROBE_FRAME_MAX];
} FrameOut;

typedef struct FrameProbe {
        const FrameLink *link;
        enum probe_kind kind;
        uint16_t guest_port, first_port, port; /* port: ours, of this attempt */
        uint64_t interval, timeout;
        size_t request_len;
        char request[HTTP_REQUEST_MAX];

        FrameProbeState state;
        unsigned attempts, budget, resends;
        uint64_t next, deadline, resend, wait; /* wait: from one sending to the next */
        uint32_t seed, first;                  /* first: the sequence number of the request's first byte */
        uint32_t acked, sent;                  /* bytes of the request */
        uint32_t window, segment;              /* what the guest takes */
        uint32_t expected;                     /* the guest's next sequence number */
        size_t answer_len;
        char answer[HTTP_STATUS_LINE_MIN];
} FrameProbe;

/* Of one guest at most FRAME_PROBES, told apart by number. plan: of kind tcp or http, copied. link is borrowed. seed: a
 * random number. It is off until frame_probe_begin(). */
#define FRAME_PROBES 2U
void frame_probe_init(
        FrameProbe *probe, unsigned number, const struct probe_plan *plan, const FrameLink *link, uint32_t seed);

/* The first attempt is due at once. */
void frame_probe_begin(FrameProbe *probe, uint64_t now);

/* Breaks off. */
void frame_probe_end(FrameProbe *probe);

/* Whether a frame of the guest goes to a port of these probes, and so not to passt; the probe's number or -1. */
int frame_probe_number(const uint8_t *frame, size_t len);

/* A frame of the guest of which frame_probe_number() says that it is this probe's. */
FrameProbeResult frame_probe_take(FrameProbe *probe, const uint8_t *frame, size_t len, uint64_t now, FrameOut *out);

/* When frame_probe_tick() has something to do (UINT64_MAX: never), and that. */
uint64_t frame_probe_due(const FrameProbe *probe);
FrameProbeResult frame_probe_tick(FrameProbe *probe, uint64_t now, FrameOut *out);
