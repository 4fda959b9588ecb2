/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/*
 * What a VM's monitor and its mcp-passt say to each other where mcp-passt probes the guest: over a socket pair of their
 * own (SOCK_SEQPACKET, "probes" in both launch messages), so that a daemon that is away is no failure of the guest.
 *
 * monitor -> mcp-passt: struct probe_order. "round" is new with every PROBE_BEGIN: what was probed before it is over.
 * mcp-passt -> monitor: struct probe_word of that round; of ready only the first good one.
 */

enum probe_command {
        PROBE_BEGIN,  /* the guest begins; also after a reset */
        PROBE_PAUSE,  /* its CPUs stand still */
        PROBE_RESUME, /* and go on */
};

struct probe_order {
        uint8_t command; /* enum probe_command */
        uint8_t round;
};

struct probe_word {
        uint8_t which; /* enum guest_probe of guest-wire.h */
        uint8_t good;  /* 0, 1 */
        uint8_t round;
};
