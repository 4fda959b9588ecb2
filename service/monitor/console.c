/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the way of guest output from QEMU's descriptors into the log. */
#include "monitor/console.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "monitor/lines.h"
#include "monitor/text.h"
#include "shared/fd.h"

#define READ_SIZE (64U * 1024U)

/* After QEMU's end a descriptor holds what its buffer held; this is more than any socket buffer. */
#define DRAIN_READS 256U

static const char panic_text[] = "Kernel panic - ";
static const char startup_text[] = "program startup failed on exec"; /* Nanos */

enum { SERIAL, PROGRAM, OUTPUT, STREAMS };

struct stream {
        struct console *console;
        int fd;
        sd_event_source *io;
        struct lines lines;
};

struct last_line {
        size_t len;
        char text[TEXT_MAX];
};

struct console {
        sd_event *event;
        struct seglog *log;
        sd_event_source *timer;
        struct stream streams[STREAMS];
        struct stream *program; /* whose bytes viewers see */
        struct last_line qemu, guest, panic, startup;
        struct viewers *viewers; /* of the program's stream */
        console_watch_t watch;
        void *watch_userdata;
        uint64_t now;
        char buffer[READ_SIZE];
};

static void take_line(void *userdata, char stream, const char *text, size_t len) {
        struct console *console = userdata;
        struct last_line *last = stream == 'm' ? &console->qemu : &console->guest;

        seglog_add(console->log, console->now, stream, text, len);
        if (len == 0)
                return;
        last->len = len < TEXT_MAX ? len : TEXT_MAX;
        memcpy(last->text, text, last->len);
        if (stream == 'p' && console->program == &console->streams[SERIAL] &&
                memmem(last->text, last->len, startup_text, sizeof startup_text - 1))
                console->startup = *last;
        /* What a kernel prints behind its reason to panic says less. */
        if (stream == 'k' && memmem(last->text, last->len, panic_text, sizeof panic_text - 1))
                console->panic = *last;
}

static void flush_partial(struct console *console) {
        console->now = now_realtime();
        for (size_t i = 0; i < STREAMS; i++)
                lines_flush(&console->streams[i].lines, take_line, console);
        seglog_flush(console->log);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        flush_partial(userdata);
        return 0;
}

/* Reads one chunk. Returns what read(2) does. */
static ssize_t pump(struct stream *s) {
        struct console *console = s->console;
        ssize_t n = read(s->fd, console->buffer, READ_SIZE);

        if (n > 0) {
                console->now = now_realtime();
                if (s == console->program)
                        viewers_show(console->viewers, console->buffer, (size_t) n);
                if (console->watch && s != &console->streams[OUTPUT])
                        console->watch(console->watch_userdata, s->lines.stream, console->buffer, (size_t) n);
                lines_feed(&s->lines, console->buffer, (size_t) n, take_line, console);
        }
        return n;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct stream *s = userdata;
        ssize_t n = pump(s);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                s->io = sd_event_source_disable_unref(s->io);
                s->fd = close_fd(s->fd);
        }
        /* A full chunk says that more waits: then the buffer is written when it is full, and not before. */
        if (n < (ssize_t) READ_SIZE)
                seglog_flush(s->console->log);
        if (s->lines.len > 0) {
                (void) sd_event_source_set_time_relative(s->console->timer, CONSOLE_PARTIAL_USEC);
                (void) sd_event_source_set_enabled(s->console->timer, SD_EVENT_ONESHOT);
        }
        return 0;
}

int console_new(sd_event *event, struct seglog *log, bool guest_init, struct console **ret) {
        static const char names[STREAMS] = {[SERIAL] = 'k', [PROGRAM] = 'p', [OUTPUT] = 'm'};
        struct console *console = calloc(1, sizeof *console);
        int r;

        if (!console) {
                seglog_free(log);
                return -ENOMEM;
        }
        console->event = sd_event_ref(event);
        console->log = log;
        for (size_t i = 0; i < STREAMS; i++) {
                console->streams[i].console = console;
                console->streams[i].fd = -1;
                console->streams[i].lines.stream = names[i];
        }
        console->program = &console->streams[guest_init ? PROGRAM : SERIAL];
        console->program->lines.stream = 'p';
        r = viewers_new(event, &console->viewers);
        if (r >= 0)
                r = sd_event_add_time(event, &console->timer, CLOCK_MONOTONIC, 0, 10000, on_timer, console);
        if (r >= 0)
                r = sd_event_source_set_enabled(console->timer, SD_EVENT_OFF);
        if (r < 0) {
                console_free(console);
                return r;
        }
        *ret = console;
        return 0;
}

struct console *console_free(struct console *console) {
        if (!console)
                return NULL;
        for (size_t i = 0; i < STREAMS; i++) {
                sd_event_source_disable_unref(console->streams[i].io);
                (void) close_fd(console->streams[i].fd);
        }
        sd_event_source_disable_unref(console->timer);
        (void) viewers_free(console->viewers);
        seglog_free(console->log);
        sd_event_unref(console->event);
        free(console);
        return NULL;
}

int console_attach(struct console *console, struct qemu_channels *channels) {
        int *const fds[STREAMS] = {
                [SERIAL] = &channels->serial, [PROGRAM] = &channels->console, [OUTPUT] = &channels->output};
        int r = 0;

        for (size_t i = 0; i < STREAMS; i++) {
                struct stream *s = &console->streams[i];
                int q;

                s->fd = take_fd(fds[i]);
                q = sd_event_add_io(console->event, &s->io, s->fd, EPOLLIN, on_io, s);
                if (q < 0 && r == 0)
                        r = q;
        }
        return r < 0 ? r : viewers_set_guest(console->viewers, console->program->fd);
}

int console_view(struct console *console, int fd, bool write) {
        return viewers_add(console->viewers, fd, write);
}

void console_set_watch(struct console *console, console_watch_t watch, void *userdata) {
        console->watch = watch;
        console->watch_userdata = userdata;
}

void console_say(struct console *console, const char *format, ...) {
        char text[LOG_TEXT_MAX];
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        if (n < 0)
                return;
        seglog_add(console->log, now_realtime(), 'm', text, (size_t) n < sizeof text ? (size_t) n : sizeof text - 1);
        seglog_flush(console->log);
}

void console_drain(struct console *console) {
        for (size_t i = 0; i < STREAMS; i++)
                for (unsigned k = 0; k < DRAIN_READS && console->streams[i].fd >= 0; k++)
                        if (pump(&console->streams[i]) <= 0)
                                break;
        flush_partial(console);
}

bool console_startup_failure(struct console *console, char *buf) {
        console_drain(console);
        if (console->startup.len == 0)
                return false;
        (void) text_clean(buf, console->startup.text, console->startup.len);
        return true;
}

char *console_last_words(const struct console *console, char *buf) {
        return text_clean(buf, console->qemu.text, console->qemu.len);
}

char *console_last_guest_words(const struct console *console, char *buf) {
        const struct last_line *last = console->panic.len > 0 ? &console->panic : &console->guest;

        return text_clean(buf, last->text, last->len);
}
