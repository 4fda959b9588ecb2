/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The ring of log segments of one VM, see log-line.h. */
struct seglog;

#define SEGLOG_SEGMENTS_MAX 8U

/* Reads what the segments hold and goes on behind the newest line. fds are taken, also on failure; n may be 0: then
 * nothing is kept. segment_max: bytes a segment may grow to. */
int seglog_new(const int *fds, size_t n, uint64_t segment_max, uint32_t boot, struct seglog **ret);

/* Flushes and frees. Takes NULL, returns NULL. */
struct seglog *seglog_free(struct seglog *log);

/* Adds one line; time in microseconds since the epoch. Kept in memory until the buffer is full or seglog_flush(). */
void seglog_add(struct seglog *log, uint64_t time, char stream, const char *text, size_t len);

/* Writes what is buffered. A write that fails loses its lines: the next one that works says how many, and the journal has the first
 * failure. */
void seglog_flush(struct seglog *log);
