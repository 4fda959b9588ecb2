/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* Times in files: RFC 3339 text, microseconds since the epoch. */

/* "2026-05-01T10:00:00.000000Z". Caller frees (g_free). */
char *rfc3339_format(uint64_t usec);

/* With or without fraction, any offset; digits beyond microseconds are cut, times before the epoch (the zero time of
 * other languages) are 0. -EINVAL for anything else. */
int rfc3339_parse(const char *text, uint64_t *ret);
