/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "shared/log-line.h"

/* Splits one stream of guest output into lines of at most LOG_TEXT_MAX bytes. */
struct lines {
        char stream;    /* as in log-line.h */
        bool continued; /* what comes next goes on a line that was cut for its length */
        size_t len;
        char partial[LOG_TEXT_MAX];
};

/* Takes one line, without its line end. */
typedef void (*lines_sink_t)(void *userdata, char stream, const char *text, size_t len);

void lines_feed(struct lines *lines, const char *data, size_t len, lines_sink_t sink, void *userdata);

/* Gives out a line that has no end yet. */
void lines_flush(struct lines *lines, lines_sink_t sink, void *userdata);
