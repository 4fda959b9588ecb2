/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "launch/systemd.h"

/* The paths at which helpers and mcp-netd are met. They are systemd's: when somebody empties the directory, systemd is asked to
 * make them again, which restarts this service too. */
typedef struct SocketWatch SocketWatch;

/* NULL where there is no such directory. */
SocketWatch *socket_watch_new(sd_event *event, Systemd *systemd);
SocketWatch *socket_watch_free(SocketWatch *w);
