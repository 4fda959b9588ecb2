/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What cmocka wants included before it, and what all tests here use. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define assert_contains(text, part)                                                                                    \
        do {                                                                                                           \
                if (!strstr(text, part))                                                                               \
                        fail_msg("'%s' is not in '%s'", part, text);                                                   \
        } while (0)
