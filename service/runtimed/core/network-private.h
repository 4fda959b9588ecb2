/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/network.h"

/* Between network.c and network-netd.c. */

/* A VM that has, or may have, a port now. */
bool network_is_living(const VM *vm);

/* done is called once: up, or why not. */
void network_bring_up(Network *n, VMDone done, void *userdata);
void network_bring_down(Network *n);
