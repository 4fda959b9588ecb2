/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/record.h"

/* Makes a record of ours of one of the system that this service replaces: the same VM as a Nanos guest of root's,
 * stopped. With an address it is on `network` (and keeps that address by its spec), without one it has user networking;
 * on a network ports are the guest's alone. ip: its address, "" or NULL: none. InvalidSpec with the field's name. */
int old_state_record(const char *name, json_t *old, const char *ip, const char *network, const SpecLimits *limits,
        VMRecord **ret, Problem **ret_problem);
