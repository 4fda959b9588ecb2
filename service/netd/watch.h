/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "netd/networks.h"

/* Owns the sockets by which the kernel tells about links and nftables tables; calls networks_*(). */

struct watch;

int watch_new(sd_event *event, struct networks *networks, struct watch **ret);
struct watch *watch_free(struct watch *w);
