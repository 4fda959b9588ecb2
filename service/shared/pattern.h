/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a console is searched for: text anywhere in a line, where '*' stands for any bytes, '?' for one, and a backslash
 * before '*', '?' or itself for that character. Not a regular expression: what is searched is written by a guest, and
 * the time must not depend on what it writes. All places where the pattern could stand are followed at once, one bit
 * each (Baeza-Yates and Gonnet's shift-and): three operations a byte, whatever the bytes are.
 */

#define PATTERN_ELEMENTS_MAX 64U /* characters and '?'; a '*' is none */
#define PATTERN_BYTES_MAX 256U
#define PATTERN_ACCEPTED                                                                                               \
        "1 to 64 characters to be found in one line, of them '*' for any text, '?' for one byte, '\\*', '\\?' and "    \
        "'\\\\' for themselves, and no control character"

struct pattern {
        uint64_t mask[256]; /* bit i: element i takes this byte */
        uint64_t loops;     /* bit i: anything may follow element i */
        uint64_t end;       /* the last element's bit */
};

/* False for a text that is no pattern. */
bool pattern_compile(const char *text, struct pattern *ret);

/* Searches a stream, chunk by chunk; *state begins as 0 and lives as long as the stream. Stops at the first match and
 * returns true; *state is 0 then. */
bool pattern_search(const struct pattern *pattern, uint64_t *state, const void *data, size_t len);
