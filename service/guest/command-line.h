/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The kernel's command line, as /proc/cmdline has it: words with blanks between them, the last of a key counts. */

/* The value of KEY=VALUE, in ret with its NUL. False where there is none, or it does not fit; ret is then untouched. */
bool command_line_value(const char *line, const char *key, char *ret, size_t size);
