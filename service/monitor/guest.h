/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "monitor/frames.h"

/* The guest port: frames in, requests out. */
struct guest;

struct guest_ops {
        void (*frame)(void *userdata, const struct frame *frame);
        /* The port is over; called once, not from guest_free(). -EBADMSG: the guest sent what no guest init sends. */
        void (*gone)(void *userdata, int error);
};

/* fd is taken in any case. */
int guest_new(sd_event *event, int fd, const struct guest_ops *ops, void *userdata, struct guest **ret);
struct guest *guest_free(struct guest *guest);

/* Never blocks. -EAGAIN: the guest does not read; -ENOTCONN: the port is over. */
int guest_send(struct guest *guest, enum guest_frame_type type, uint32_t number);

/* Reads what is left after QEMU's end. */
void guest_drain(struct guest *guest);

/* The guest was reset: what it had begun to say is void. */
void guest_reset(struct guest *guest);
