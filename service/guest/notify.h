/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared/probe-text.h"

/* $NOTIFY_SOCKET of the program, as sd_notify(3) describes it: one datagram a message, from any process of the guest.
 */

#define NOTIFY_PATH "/run/mcp/notify"

/* Returns the descriptor or a negative errno. */
int notify_open(void);

/* Reads some of what has come, all into one. */
void notify_read(int fd, struct notification *ret);
