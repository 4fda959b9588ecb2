/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <poll.h>
#include <stdint.h>

#include "guest/failure.h"
#include "guest/frame.h"

/* The port org.mcp.guest. A host that does not listen never holds the guest up: what is to be said waits in a small
 * buffer. Works without the port, too: then nothing is said and nothing heard. */

#define PORT_OUT_MAX (FAILURE_TEXT_MAX + 256U)

struct port {
        int fd;            /* -1: none */
        uint64_t retry_at; /* the host is away: look again then (CLOCK_MONOTONIC, microseconds); 0: it is there */
        uint64_t delay;
        size_t out_len;
        uint8_t out[PORT_OUT_MAX];
        struct frame_reader in;
};

/* Waits up to usec for the port and opens it. -ENOENT when there is none. */
int port_open(struct port *port, uint64_t usec);

/* Sends a frame, or keeps it until the host takes it. */
void port_send(struct port *port, enum guest_frame_type type, const void *payload, size_t length);

/* What to poll for; lowers *timeout (milliseconds, -1 for ever) when the port wants to be looked at earlier. */
void port_prepare(const struct port *port, struct pollfd *ret, int *timeout);

/* Reads and writes what is possible; to be called after each poll(). */
void port_process(struct port *port, short revents);

/* The next frame that came. */
bool port_next(struct port *port, struct frame *ret);

/* Gives the host up to usec to take what is waiting. */
void port_flush(struct port *port, uint64_t usec);
