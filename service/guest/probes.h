/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/boot-message.h"
#include "guest/port.h"
#include "guest/probe.h"

/* What is asked of the program while it runs, and told to the host. Without Ready and Health it costs nothing. */

enum { PROBES_POLL_NOTIFY, PROBES_POLL_FIRST, PROBES_POLL_FDS = PROBES_POLL_FIRST + GUEST_PROBES };

struct probes {
        int notify; /* the socket; -1: nobody is listened to */
        struct in_addr own;
        struct probe_plan plans[GUEST_PROBES];
        struct probe probes[GUEST_PROBES];
        bool notified_ready; /* READY=1 was said */
        bool tell_ready;     /* and is to be told */
};

/* Before the program is started. Without a socket to notify, such probes find nothing; that is said on the console. */
void probes_open(struct probes *probes, const struct boot_message *message);

/* The program was executed. */
void probes_begin(struct probes *probes);

/* Fills PROBES_POLL_FDS entries. */
void probes_prepare(const struct probes *probes, struct pollfd *ret, int *timeout);

/* After each poll(), with the same entries. */
void probes_process(struct probes *probes, const struct pollfd *fds, struct port *port);
