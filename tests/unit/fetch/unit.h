/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every test here includes first: cmocka wants these before itself. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <glib.h>
#include <stdbool.h>
#include <string.h>
