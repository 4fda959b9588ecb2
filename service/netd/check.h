/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "netd/state.h"

/* Whether a request is well-formed, allowed and possible, as far as our own picture goes. Pure: nothing is changed.
 * Each returns NETD_OK, or another enum netd_error with reply->error and reply->text set. */

__attribute__((format(printf, 3, 4))) int refuse(
        struct netd_reply *reply, enum netd_error error, const char *format, ...);

int check_bridge(struct net *n, const struct netd_bridge *b, struct netd_reply *reply);

/* keep: the VM's port may be there already. */
int check_port(struct net *n, const struct netd_port *p, bool keep, struct netd_reply *reply);

int check_uuid(const struct netd_port *p, struct netd_reply *reply);
int check_bridge_name(const struct netd_bridge *b, struct netd_reply *reply);
