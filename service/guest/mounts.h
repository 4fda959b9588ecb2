/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/account.h"
#include "guest/boot-message.h"

/* What the VM has beside its root. To be called in the new root. */

int mounts_make(const struct boot_message *message, struct failure *failure);

/* Disks that are as new become the account's, whose program shall write there. */
void mounts_give(const struct account *account);

/* When no other process is left: disks are unmounted, so that they are clean. */
void mounts_end(void);
