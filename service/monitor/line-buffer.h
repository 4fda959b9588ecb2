/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Collects a byte stream into lines of any length up to a limit. Zeroed at start; memory grows with the line and is
 * given back when the buffer is empty. */
struct line_buffer {
        char *data;
        size_t len, allocated;
        size_t start, scanned; /* where the next line begins, and up to where there is no line end */
};

void line_buffer_done(struct line_buffer *b);

/* Copies len bytes in. -EMSGSIZE when the line they belong to would be longer than max, -ENOMEM. */
int line_buffer_add(struct line_buffer *b, const void *data, size_t len, size_t max);

/* The next whole line, borrowed until the next call, without its end. NULL when there is none. */
const char *line_buffer_next(struct line_buffer *b, size_t *ret_len);
