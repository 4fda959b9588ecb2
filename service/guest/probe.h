/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <netinet/in.h>
#include <poll.h>

#include "shared/probe-text.h"

/* One probe, over and over: a connection to the guest's own loopback or address, or the program's word. Never waits,
 * allocates nothing; the times it is told are microseconds (monotonic). */

enum probe_result {
        PROBE_PENDING,
        PROBE_GOOD,
        PROBE_BAD,
};

struct probe {
        struct probe_plan plan;
        struct in_addr own; /* the guest's own address; 0: none */
        int fd;             /* of the attempt under way; -1: none */
        unsigned address;   /* the one it is made to */
        bool connected;
        uint64_t next;     /* when the next attempt begins */
        uint64_t deadline; /* of the one under way */
        bool notified;     /* the program's word has come since the last attempt */
        size_t len;
        char answer[HTTP_STATUS_LINE_MIN];
};

/* The first attempt is due at once; of a message, when its interval is over. */
void probe_begin(struct probe *probe, const struct probe_plan *plan, struct in_addr own, uint64_t now);

/* What to poll for; lowers *timeout (milliseconds, -1 for ever). */
void probe_prepare(const struct probe *probe, struct pollfd *ret, int *timeout, uint64_t now);

/* Goes on after each poll(). A result is told once. */
enum probe_result probe_process(struct probe *probe, short revents, uint64_t now);

/* Breaks the attempt off; begins no other. */
void probe_end(struct probe *probe);
