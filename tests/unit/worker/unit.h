/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sanitizers have memory of their own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ADDRESS_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_ADDRESS_SANITIZER 1
#endif

/* What every test of the worker includes first: cmocka wants these before itself. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "worker/failure.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ADDRESS_SANITIZER 1
#endif

/* The failure has this name and its message holds this text. */
#define assert_failure(f, error, text)                                                                                 \
        do {                                                                                                           \
                assert_non_null((f)->name);                                                                            \
                assert_string_equal((f)->name, error);                                                                 \
                if (!strstr((f)->message, text))                                                                       \
                        fail_msg("\"%s\" does not say \"%s\"", (f)->message, text);                                    \
                failure_clear(f);                                                                                      \
        } while (0)
