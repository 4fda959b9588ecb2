/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The console log of a VM: a ring of segment files (log0, log1, log2), written by its monitor, read by the daemon.
 *
 * One line of the log is one line of the guest's output:
 *   SEQ TIME BOOT STREAM TEXT\n
 * SEQ is a decimal counter below UINT64_MAX that never goes back over the VM's life, TIME microseconds since the epoch, BOOT the boot
 * id, STREAM 'k' for the serial port (kernel, firmware), 'p' for the virtio console (the program; the serial
 * port of a guest without guest init is its program's, too), 'm' for the
 * monitor's own words. TEXT is printable UTF-8: control characters but tab, and invalid bytes, stand as \xHH, a
 * backslash as \\. A guest line longer than LOG_TEXT_MAX is broken into several. The segment whose first SEQ is largest
 * is the one being written; when it is full the oldest one is truncated and is next.
 */

#define LOG_SEGMENTS 3U
#define LOG_SEGMENT_BYTES (2U * 1024U * 1024U)
#define LOG_TEXT_MAX 1024U                     /* of guest bytes in one line */
#define LOG_LINE_MAX (4U * LOG_TEXT_MAX + 80U) /* of the whole line, worst case of escapes */

struct log_line {
        uint64_t seq;
        uint64_t time;
        uint32_t boot;
        char stream;
        const char *text; /* borrowed from the parsed buffer, not terminated */
        size_t text_len;
};

/* Writes one whole line, newline included, into buf (at least LOG_LINE_MAX bytes); text is raw guest bytes without
 * their newline, at most LOG_TEXT_MAX of them. Returns the length. */
size_t log_line_format(
        char *buf, uint64_t seq, uint64_t time, uint32_t boot, char stream, const void *text, size_t len);

/* Parses one line without its newline. False for anything log_line_format() would not have written. */
bool log_line_parse(const char *line, size_t len, struct log_line *ret);
