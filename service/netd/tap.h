/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* /dev/net/tun: TAPs that live as long as their descriptors. */

/* Makes the TAP name with that many queues, IFF_VNET_HDR, not persistent. fds has room for queues. -EBUSY: an interface
 * of that name exists, whoever's, and was left alone. */
int tap_open(const char *name, size_t queues, int *fds);
