/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every test of the pure layer includes: cmocka and what it wants before it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib.h>
#include <string.h>

/* A string of n times c, then the rest. Caller frees. */
static inline char *repeat(char c, size_t n, const char *rest) {
        g_autofree char *head = g_strnfill(n, c);

        return g_strconcat(head, rest, NULL);
}
