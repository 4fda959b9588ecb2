/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "helpers/frame-relay.h"

/* The probes that mcp-passt makes for a VM's monitor (shared/probe-wire.h), as the launch message asks. */
typedef struct GuestProbes GuestProbes;

/* Sits at the relay, which is borrowed and must outlive it. monitor: taken in any case. -EBADMSG for a launch message
 * whose probes are none, or not of kind tcp or http. */
int guest_probes_new(sd_event *event, const json_t *launch, int monitor, FrameRelay *relay, GuestProbes **ret);
GuestProbes *guest_probes_free(GuestProbes *probes);
