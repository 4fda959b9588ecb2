/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the ring of log segments: finds a place by bisection, then goes line by line. */
#include "store/console-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"

#define BLOCK (LOG_LINE_MAX * 2U)
#define CHUNK (64U * 1024U)

struct ConsoleLog {
        Store *store;
        char *vm;
        int fds[LOG_SEGMENTS]; /* -1: it was not there */
        unsigned segment;
        off_t offset;
        uint64_t first_seq; /* of the segment when it was entered: another one there now means that it was emptied */
        uint64_t next_seq;  /* lines below it were read */
        size_t chunk_at, chunk_len; /* of what is read ahead, from offset on: the place in it, and its end */
        char block[BLOCK];
        char chunk[CHUNK];
};

/* The first whole line at or after offset (from the next newline on where offset is inside the file). Returns its
 * offset in *ret_offset and the offset behind it in *ret_end. */
static bool line_at(ConsoleLog *l, unsigned segment, off_t offset, bool whole, struct log_line *ret, off_t *ret_offset,
        off_t *ret_end) {
        ssize_t n = l->fds[segment] < 0 ? 0 : pread(l->fds[segment], l->block, BLOCK, offset);
        const char *p = l->block, *end;

        if (n <= 0)
                return false;
        end = l->block + n;
        if (!whole) {
                p = memchr(p, '\n', (size_t) n);
                if (!p)
                        return false;
                p++;
        }
        for (;;) {
                const char *newline = memchr(p, '\n', (size_t) (end - p));

                if (!newline)
                        return false;
                if (log_line_parse(p, (size_t) (newline - p), ret)) {
                        *ret_offset = offset + (p - l->block);
                        *ret_end = offset + (newline + 1 - l->block);
                        return true;
                }
                p = newline + 1;
        }
}

static uint64_t key_of(const struct log_line *line, LogKey key) {
        return key == LOG_BY_SEQ ? line->seq : key == LOG_BY_BOOT ? line->boot : line->time;
}

/* The segment with the smallest first SEQ that is at least seq, or with the largest where last is set. */
static bool find_segment(ConsoleLog *l, uint64_t seq, unsigned *ret) {
        bool found = false;
        uint64_t best = 0;

        for (unsigned i = 0; i < LOG_SEGMENTS; i++) {
                struct log_line line;
                off_t at, end;

                if (!line_at(l, i, 0, true, &line, &at, &end) || line.seq < seq || (found && line.seq >= best))
                        continue;
                found = true;
                best = line.seq;
                *ret = i;
        }
        return found;
}

/* Offset of the first line in the segment whose key is at least value; the segment's size where there is none. */
static off_t bisect(ConsoleLog *l, unsigned segment, LogKey key, uint64_t value) {
        struct stat st;
        off_t low = 0, high, at, end;
        struct log_line line;

        if (fstat(l->fds[segment], &st) < 0)
                return 0;
        if (line_at(l, segment, 0, true, &line, &at, &end) && key_of(&line, key) >= value)
                return 0;
        high = st.st_size;
        /* Invariant: the line that begins after low's newline is below value, the one after high's is not. */
        while (high - low > 1) {
                off_t middle = low + (high - low) / 2;

                if (line_at(l, segment, middle, false, &line, &at, &end) && key_of(&line, key) < value)
                        low = middle;
                else
                        high = middle;
        }
        if (line_at(l, segment, high, false, &line, &at, &end))
                return at;
        return st.st_size;
}

/* One more than the SEQ of the last line of all; 0 where there is none. */
static uint64_t end_seq(ConsoleLog *l) {
        uint64_t result = 0;

        for (unsigned i = 0; i < LOG_SEGMENTS; i++) {
                struct log_line line;
                struct stat st;
                off_t at, offset;
                bool whole;

                if (l->fds[i] < 0 || fstat(l->fds[i], &st) < 0)
                        continue;
                /* The last line begins within LOG_LINE_MAX bytes of the end; the block is twice that. */
                offset = MAX(st.st_size - (off_t) BLOCK, 0);
                for (whole = offset == 0; line_at(l, i, offset, whole, &line, &at, &offset); whole = true)
                        result = MAX(result, line.seq + 1);
        }
        return result;
}

void console_log_seek(ConsoleLog *l, LogKey key, uint64_t value) {
        unsigned segment = LOG_SEGMENTS;
        uint64_t first = 0;

        l->segment = LOG_SEGMENTS;
        l->offset = 0;
        l->chunk_at = l->chunk_len = 0;
        l->next_seq = key == LOG_BY_SEQ ? value : 0;
        while (find_segment(l, first, &segment)) {
                struct log_line line;
                off_t at, end, offset;

                if (!line_at(l, segment, 0, true, &line, &at, &end))
                        return;
                first = line.seq + 1;
                offset = bisect(l, segment, key, value);
                l->segment = segment;
                l->first_seq = line.seq;
                l->offset = offset;
                if (line_at(l, segment, offset, true, &line, &at, &end)) {
                        l->next_seq = line.seq;
                        return;
                }
        }
        l->next_seq = MAX(l->next_seq, end_seq(l)); /* nothing yet: what comes later is wanted */
}

void console_log_seek_tail(ConsoleLog *l, uint32_t boot, uint64_t n) {
        struct log_line line;
        uint64_t end;

        console_log_seek(l, LOG_BY_BOOT, (uint64_t) boot + 1);
        end = console_log_next(l, &line) ? line.seq : end_seq(l);
        console_log_seek(l, LOG_BY_SEQ, end > n ? end - n : 0);
}

/* Whether the segment still holds what it held when it was entered. */
static bool segment_is_same(ConsoleLog *l) {
        struct log_line line;
        off_t at, end;

        return l->segment < LOG_SEGMENTS && line_at(l, l->segment, 0, true, &line, &at, &end) &&
               line.seq == l->first_seq;
}

/* Makes the segment that holds what is next the current one. */
static bool enter_segment(ConsoleLog *l) {
        struct log_line line;
        off_t at, end;

        if (!find_segment(l, l->next_seq, &l->segment) || !line_at(l, l->segment, 0, true, &line, &at, &end))
                return false;
        l->first_seq = line.seq;
        l->offset = 0;
        l->chunk_at = l->chunk_len = 0;
        return true;
}

/* The next line of what was read ahead. What has no end yet is read again later. */
static bool next_in_chunk(ConsoleLog *l, struct log_line *ret) {
        while (l->chunk_at < l->chunk_len) {
                const char *p = l->chunk + l->chunk_at, *newline = memchr(p, '\n', l->chunk_len - l->chunk_at);
                size_t n = newline ? (size_t) (newline - p) : 0;

                if (!newline)
                        break;
                l->chunk_at += n + 1;
                l->offset += (off_t) n + 1;
                if (!log_line_parse(p, n, ret) || ret->seq < l->next_seq)
                        continue;
                l->next_seq = ret->seq + 1;
                return true;
        }
        /* No line is as long as a chunk: this is none of ours. */
        if (l->chunk_at == 0 && l->chunk_len == CHUNK)
                l->offset += CHUNK;
        return false;
}

/* The next line of the current segment that was not read yet. */
static bool next_in_segment(ConsoleLog *l, struct log_line *ret) {
        for (;;) {
                ssize_t n = pread(l->fds[l->segment], l->chunk, CHUNK, l->offset);
                off_t before = l->offset;

                l->chunk_at = 0;
                l->chunk_len = n > 0 ? (size_t) n : 0;
                if (next_in_chunk(l, ret))
                        return true;
                l->chunk_at = l->chunk_len = 0;
                if (l->offset == before)
                        return false;
        }
}

bool console_log_next(ConsoleLog *l, struct log_line *ret) {
        if (next_in_chunk(l, ret))
                return true;
        l->chunk_at = l->chunk_len = 0;
        if (segment_is_same(l) && next_in_segment(l, ret))
                return true;
        /* The end of the segment, or it was emptied under us. */
        return enter_segment(l) && next_in_segment(l, ret);
}

void console_log_look_again(ConsoleLog *l) {
        for (unsigned i = 0; i < LOG_SEGMENTS; i++) {
                char name[16];

                (void) snprintf(name, sizeof name, "log%u", i);
                if (l->fds[i] < 0)
                        l->fds[i] = store_vm_open(l->store, l->vm, name, O_RDONLY);
        }
}

int console_log_open(Store *s, const char *vm, ConsoleLog **ret) {
        ConsoleLog *l = g_new0(ConsoleLog, 1);

        l->store = s;
        l->vm = g_strdup(vm);
        l->segment = LOG_SEGMENTS;
        for (unsigned i = 0; i < LOG_SEGMENTS; i++)
                l->fds[i] = -1;
        console_log_look_again(l);
        *ret = l;
        return 0;
}

ConsoleLog *console_log_free(ConsoleLog *l) {
        if (!l)
                return NULL;
        for (unsigned i = 0; i < LOG_SEGMENTS; i++)
                (void) close_fd(l->fds[i]);
        g_free(l->vm);
        g_free(l);
        return NULL;
}
