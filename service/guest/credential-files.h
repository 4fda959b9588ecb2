/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/account.h"
#include "guest/failure.h"

/* Makes files of the VM's credentials, in memory and for the account alone. Returns 1 when there are any, 0, or a
 * negative errno. To be called in the new root. */
int credential_files_make(const struct account *account, struct failure *failure);
