/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/boot-message.h"

/* Brings lo up, and eth0 with the address and the gateway of the message when it has one. */
int net_set_up(const struct boot_message *message, struct failure *failure);
