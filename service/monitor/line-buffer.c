/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the bounded memory between a stream socket and a parser that wants whole lines. */
#include "monitor/line-buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIN_SIZE 4096U

void line_buffer_done(struct line_buffer *b) {
        free(b->data);
        *b = (struct line_buffer) {};
}

static int reserve(struct line_buffer *b, size_t size) {
        size_t n = b->allocated > 0 ? b->allocated : MIN_SIZE;
        char *p;

        while (n < size)
                n *= 2;
        if (n == b->allocated)
                return 0;
        p = realloc(b->data, n);
        if (!p)
                return -ENOMEM;
        b->data = p;
        b->allocated = n;
        return 0;
}

int line_buffer_add(struct line_buffer *b, const void *data, size_t len, size_t max) {
        const char *first_end = memchr(data, '\n', len);
        size_t of_line = first_end ? (size_t) (first_end - (const char *) data) : len;
        int r;

        if (b->start > 0) {
                memmove(b->data, b->data + b->start, b->len - b->start);
                b->len -= b->start;
                b->scanned -= b->start;
                b->start = 0;
        }
        if (b->len + of_line > max)
                return -EMSGSIZE;
        r = reserve(b, b->len + len);
        if (r < 0)
                return r;
        memcpy(b->data + b->len, data, len);
        b->len += len;
        return 0;
}

const char *line_buffer_next(struct line_buffer *b, size_t *ret_len) {
        const char *end, *line;

        end = b->len > b->scanned ? memchr(b->data + b->scanned, '\n', b->len - b->scanned) : NULL;
        if (!end) {
                b->scanned = b->len;
                if (b->start == b->len)
                        line_buffer_done(b);
                return NULL;
        }
        line = b->data + b->start;
        *ret_len = (size_t) (end - line);
        b->start = b->scanned = (size_t) (end - b->data) + 1;
        return line;
}
