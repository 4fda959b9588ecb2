/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the cut of a byte stream into log lines. Whole lines are not copied; memory is one line per stream. */
#include "monitor/lines.h"

#include <string.h>

#include "monitor/text.h"

static size_t min_size(size_t a, size_t b) {
        return a < b ? a : b;
}

static void emit(struct lines *lines, const char *text, size_t len, lines_sink_t sink, void *userdata) {
        while (len > 0 && text[len - 1] == '\r')
                len--;
        /* A line that was cut exactly at its end has nothing left to say. */
        if (len > 0 || !lines->continued)
                sink(userdata, lines->stream, text, len);
        lines->continued = false;
}

static void emit_cut(struct lines *lines, const char *text, size_t len, lines_sink_t sink, void *userdata) {
        sink(userdata, lines->stream, text, len);
        lines->continued = true;
}

/* Adds to the line held back. Returns the bytes taken. */
static size_t feed_partial(struct lines *lines, const char *data, size_t len, lines_sink_t sink, void *userdata) {
        size_t room = LOG_TEXT_MAX - lines->len;
        const char *end = memchr(data, '\n', min_size(len, room + 1));
        size_t take = end ? (size_t) (end - data) : min_size(len, room), cut;

        memcpy(lines->partial + lines->len, data, take);
        lines->len += take;
        if (end) {
                emit(lines, lines->partial, lines->len, sink, userdata);
                lines->len = 0;
                return take + 1;
        }
        if (len > take) {
                cut = text_cut(lines->partial, LOG_TEXT_MAX);
                emit_cut(lines, lines->partial, cut, sink, userdata);
                lines->len -= cut;
                memmove(lines->partial, lines->partial + cut, lines->len);
        }
        return take;
}

void lines_feed(struct lines *lines, const char *data, size_t len, lines_sink_t sink, void *userdata) {
        while (len > 0) {
                const char *end;
                size_t n;

                if (lines->len > 0) {
                        n = feed_partial(lines, data, len, sink, userdata);
                        data += n;
                        len -= n;
                        continue;
                }
                end = memchr(data, '\n', min_size(len, LOG_TEXT_MAX + 1));
                if (end) {
                        emit(lines, data, (size_t) (end - data), sink, userdata);
                        n = (size_t) (end - data) + 1;
                } else if (len > LOG_TEXT_MAX) {
                        n = text_cut(data, LOG_TEXT_MAX);
                        emit_cut(lines, data, n, sink, userdata);
                } else {
                        memcpy(lines->partial, data, len);
                        lines->len = n = len;
                }
                data += n;
                len -= n;
        }
}

void lines_flush(struct lines *lines, lines_sink_t sink, void *userdata) {
        if (lines->len == 0)
                return;
        emit(lines, lines->partial, lines->len, sink, userdata);
        lines->len = 0;
}
