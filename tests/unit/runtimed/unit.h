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
#include <stdio.h>
#include <string.h>

/* A scratch directory of one test; scratch_remove() takes what is in it along and frees the path. */
char *scratch_new(void);
void scratch_remove(char *path);

/* Writes DIR/NAME, making the directories on the way. */
void scratch_write(const char *dir, const char *name, const void *data, size_t len);
static inline void scratch_text(const char *dir, const char *name, const char *text) {
        scratch_write(dir, name, text, strlen(text));
}

bool scratch_has(const char *dir, const char *name);
