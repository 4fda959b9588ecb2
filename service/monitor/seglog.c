/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the log segments: where to go on after an earlier boot, buffered writes, rotation. */
#include "monitor/seglog.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/log-line.h"
#include "shared/log.h"

#define BUFFER_SIZE (64U * 1024U)
#define SCAN_SIZE (32U * 1024U)

/* No VM lives long enough for this many lines: a number beyond it is damage and must not stop the counter. */
#define SEQ_SANE_MAX (UINT64_MAX / 2)

struct segment {
        int fd;
        uint64_t size;
        uint64_t first, last; /* sequence numbers found, 0: none */
        bool open_end;        /* its last byte is not a line end */
};

struct seglog {
        struct segment segments[SEGLOG_SEGMENTS_MAX];
        size_t n, current;
        uint64_t segment_max, seq, lost;
        uint32_t boot;
        int error; /* of the last write */
        bool told; /* in the journal */
        size_t len, buffered_lines;
        char buffer[BUFFER_SIZE];
};

static void note_line(struct segment *s, const char *line, size_t len) {
        struct log_line parsed;

        if (!log_line_parse(line, len, &parsed) || parsed.seq == 0 || parsed.seq > SEQ_SANE_MAX)
                return;
        if (s->first == 0 || parsed.seq < s->first)
                s->first = parsed.seq;
        if (parsed.seq > s->last)
                s->last = parsed.seq;
}

/* Notes the lines of buf; what stands before the first line end counts only when buf starts a line. Returns the bytes
 * used, up to the last line end. */
static size_t note_lines(struct segment *s, const char *buf, size_t len, bool at_start) {
        size_t start = 0;

        for (const char *end; (end = memchr(buf + start, '\n', len - start)); at_start = true) {
                if (at_start)
                        note_line(s, buf + start, (size_t) (end - buf) - start);
                start = (size_t) (end - buf) + 1;
        }
        return start;
}

static int scan_range(struct segment *s, char *buf, uint64_t from, uint64_t to, bool at_start) {
        while (from < to) {
                size_t want = to - from < SCAN_SIZE ? (size_t) (to - from) : SCAN_SIZE, used;
                ssize_t n = pread(s->fd, buf, want, (off_t) from);

                if (n < 0)
                        return -errno;
                if (n == 0)
                        return 0;
                used = note_lines(s, buf, (size_t) n, at_start);
                if (from + (uint64_t) n >= to) {
                        /* The last line may have lost its end, but its number is used. */
                        if (used > 0 || at_start)
                                note_line(s, buf + used, (size_t) n - used);
                        return 0;
                }
                /* No line end in all of it is damage: the rest of that line counts for nothing. */
                at_start = used > 0;
                from += used > 0 ? used : (size_t) n;
        }
        return 0;
}

/* The first and last line are enough for a whole segment; a damaged one is read through. */
static int segment_scan(struct segment *s, char *buf) {
        uint64_t tail = s->size > SCAN_SIZE ? s->size - SCAN_SIZE : 0;
        uint64_t head = s->size < 2 * LOG_LINE_MAX ? s->size : 2 * LOG_LINE_MAX;
        char last_byte = 0;
        int r;

        if (s->size == 0)
                return 0;
        if (pread(s->fd, &last_byte, 1, (off_t) s->size - 1) < 0)
                return -errno;
        s->open_end = last_byte != '\n';
        r = scan_range(s, buf, tail, s->size, tail == 0);
        if (r < 0 || tail == 0)
                return r;
        if (s->last == 0)
                return scan_range(s, buf, 0, s->size, true);
        return scan_range(s, buf, 0, head, true);
}

/* What is in it and cannot be read (*ret_unread says why) counts as damage. */
static int segment_open(struct segment *s, int fd, char *buf, int *ret_unread) {
        struct stat st;
        int r;

        s->fd = fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        s->size = (uint64_t) st.st_size;
        r = segment_scan(s, buf);
        if (r < 0) {
                s->first = s->last = 0;
                s->open_end = true;
                *ret_unread = r;
        }
        return 0;
}

int seglog_new(const int *fds, size_t n, uint64_t segment_max, uint32_t boot, struct seglog **ret) {
        struct seglog *log = n <= SEGLOG_SEGMENTS_MAX ? calloc(1, sizeof *log) : NULL;
        uint64_t hidden = 0;
        int r = 0;

        if (!log) {
                for (size_t i = 0; i < n; i++)
                        (void) close_fd(fds[i]);
                return n <= SEGLOG_SEGMENTS_MAX ? -ENOMEM : -E2BIG;
        }
        log->n = n;
        log->boot = boot;
        log->segment_max = segment_max < LOG_LINE_MAX ? LOG_LINE_MAX : segment_max;
        for (size_t i = 0; i < n; i++) {
                int unread = 0, q = segment_open(&log->segments[i], fds[i], log->buffer, &unread);

                if (q < 0 && r == 0)
                        r = q;
                if (unread < 0 && hidden == 0)
                        log_warning("a part of the VM's log cannot be read, and makes room for the next lines: %s",
                                strerror(-unread));
                if (unread < 0)
                        hidden += log->segments[i].size; /* no line is shorter than a byte */
                if (log->segments[i].last > log->segments[log->current].last)
                        log->current = i;
                if (log->segments[i].last > log->seq)
                        log->seq = log->segments[i].last;
        }
        /* Numbers never go back, neither behind those that could not be read. */
        log->seq += hidden;
        if (r < 0) {
                seglog_free(log);
                return r;
        }
        *ret = log;
        return 0;
}

struct seglog *seglog_free(struct seglog *log) {
        if (!log)
                return NULL;
        seglog_flush(log);
        for (size_t i = 0; i < log->n; i++)
                (void) close_fd(log->segments[i].fd);
        free(log);
        return NULL;
}

/* The next segment is an empty one, else that with the oldest lines; damaged ones count as oldest. */
static int rotate(struct seglog *log) {
        size_t next = (log->current + 1) % log->n;
        struct segment *s;

        for (size_t i = 0; i < log->n; i++)
                if (i != log->current && log->segments[i].first < log->segments[next].first)
                        next = i;
        s = &log->segments[next];
        if (ftruncate(s->fd, 0) < 0)
                return -errno;
        s->size = s->first = s->last = 0;
        s->open_end = false;
        log->current = next;
        return 0;
}

static int write_at_end(struct segment *s, const char *p, size_t len) {
        while (len > 0) {
                ssize_t n = pwrite(s->fd, p, len, (off_t) s->size);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                s->open_end = p[n - 1] != '\n';
                s->size += (uint64_t) n;
                p += n;
                len -= (size_t) n;
        }
        return 0;
}

static int write_buffer(struct seglog *log) {
        struct segment *s = &log->segments[log->current];
        int r;

        if (s->size > 0 && s->size + log->len + 1 > log->segment_max) {
                r = rotate(log);
                if (r < 0)
                        return r;
                s = &log->segments[log->current];
        }
        /* A line that an earlier monitor or a full disk left unfinished must not swallow ours. */
        r = s->open_end ? write_at_end(s, "\n", 1) : 0;
        if (r < 0)
                return r;
        if (s->first == 0)
                s->first = log->seq - log->buffered_lines + 1;
        r = write_at_end(s, log->buffer, log->len);
        if (r >= 0)
                s->last = log->seq;
        return r;
}

void seglog_flush(struct seglog *log) {
        int r = 0;

        if (log->len == 0)
                return;
        if (log->n > 0)
                r = write_buffer(log);
        if (r < 0) {
                log->lost += log->buffered_lines;
                log->error = r;
                /* Who looks for lines that are missing finds them counted where they would be, once there is room; a log
                 * that is never written again can say nothing. */
                if (!log->told)
                        log_warning("the VM's log cannot be written, what it prints is lost until it can: %s",
                                strerror(-r));
                log->told = true;
        }
        log->len = 0;
        log->buffered_lines = 0;
}

static void add(struct seglog *log, uint64_t time, char stream, const char *text, size_t len) {
        /* A segment is never larger than its limit, so neither is what is written at once. */
        size_t limit = log->segment_max < BUFFER_SIZE ? (size_t) log->segment_max : BUFFER_SIZE;

        if (log->len + LOG_LINE_MAX > limit)
                seglog_flush(log);
        log->len += log_line_format(log->buffer + log->len, ++log->seq, time, log->boot, stream, text, len);
        log->buffered_lines++;
}

void seglog_add(struct seglog *log, uint64_t time, char stream, const char *text, size_t len) {
        if (log->lost > 0 && log->len == 0) {
                char note[128];
                int n = snprintf(note,
                        sizeof note,
                        "%" PRIu64 " lines of this log are missing here: %s",
                        log->lost,
                        strerror(-log->error));

                log->lost = 0;
                add(log, time, 'm', note, (size_t) n);
        }
        add(log, time, stream, text, len);
}
