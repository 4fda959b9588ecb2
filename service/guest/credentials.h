/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest/failure.h"

/* The VM's credentials, part 2 of shared/guest-wire.h. */

struct credential {
        const char *name; /* a file name */
        const uint8_t *value;
        size_t size;
};

/* The entry at *at of len bytes, which then moves on. 1, 0 at the end, -EBADMSG. */
int credential_next(const uint8_t *data, size_t len, size_t *at, struct credential *ret);
