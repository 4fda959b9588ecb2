/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/*
 * The frames between QEMU and passt: each with its length before it (u32, network byte order; QEMU's stream netdev and
 * passt(1)). What the guest may not send (frame-guard.h) is dropped on the way. passt may be exchanged under a guest
 * that runs: only whole frames are begun, and a frame is never continued by another passt.
 */
typedef struct FrameRelay FrameRelay;

/* One side has ended, or said what is no frame. The relay has stopped; the callee may exchange passt or free the relay.
 */
typedef void (*FrameRelayEnd)(int side, void *userdata);
enum { RELAY_GUEST, RELAY_PASST };

/* guest and passt: stream sockets, taken in any case. 0 or a negative errno. */
int frame_relay_new(sd_event *event, int guest, int passt, FrameRelayEnd end, void *userdata, FrameRelay **ret);
FrameRelay *frame_relay_free(FrameRelay *relay);

/* Bytes of the frames that have come from that side and went, since the beginning. */
uint64_t frame_relay_bytes(const FrameRelay *relay, int from);

/* Sees every frame before it goes on, and keeps it from going: then true. Within it no frame may be put to the side
 * that it comes from. */
typedef bool (*FrameRelayTap)(int from, const uint8_t *frame, size_t len, void *userdata);
void frame_relay_tap(FrameRelay *relay, FrameRelayTap tap, void *userdata);

/* A frame for the guest that passt has not sent; left out where there is no room for it. */
void frame_relay_put(FrameRelay *relay, const uint8_t *frame, size_t len);

/* Closes passt's socket, which ends passt. Frames of the guest wait. */
void frame_relay_hang_up(FrameRelay *relay);

/* Goes on with another passt. passt: taken in any case. 0 or a negative errno. */
int frame_relay_connect(FrameRelay *relay, int passt);
