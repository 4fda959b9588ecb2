/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/boot-message.h"

/* What the VM has beside its root. To be called in the new root. */

int mounts_make(const struct boot_message *message, struct failure *failure);
