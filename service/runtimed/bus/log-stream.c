/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the pipes of OpenLog: reads lines as the reader takes them, looks for new ones when the log's files change. */
#include "bus/log-stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "shared/fd.h"
#include "store/console-log.h"

#define LINES_PER_TURN 256U /* then others have their turn */

struct LogStream {
        Bus *bus;
        char *vm; /* name */
        uint32_t uid;
        LogStreamOptions options;
        ConsoleLog *log;
        int fd; /* writing end */
        sd_event_source *io, *watch;
        char line[LOG_LINE_MAX + 32];
        size_t line_len, line_sent;
};

static void stream_free(LogStream *s) {
        (void) g_ptr_array_remove_fast(s->bus->streams, s);
        sd_event_source_disable_unref(s->io);
        sd_event_source_disable_unref(s->watch);
        (void) console_log_free(s->log);
        (void) close_fd(s->fd);
        g_free(s->vm);
        g_free(s);
}

static void format_line(LogStream *s, const struct log_line *line) {
        size_t n = 0;

        if (s->options.timestamps)
                n = (size_t) snprintf(s->line, sizeof s->line, "%" PRIu64 " ", line->time);
        memcpy(s->line + n, line->text, line->text_len);
        n += line->text_len;
        s->line[n++] = '\n';
        s->line_len = n;
        s->line_sent = 0;
}

/* Fills the line buffer. False where there is nothing (yet). */
static bool next_line(LogStream *s) {
        struct log_line line;

        while (console_log_next(s->log, &line)) {
                if (s->options.boot && line.boot < s->options.boot)
                        continue;
                if (s->options.boot && line.boot > s->options.boot)
                        return false;
                format_line(s, &line);
                return true;
        }
        return false;
}

/* A boot that is over says nothing more, whatever runs now. */
static bool more_will_come(LogStream *s) {
        VM *vm = s->options.follow ? runtime_find_vm(s->bus->runtime, s->vm) : NULL;

        return vm && vm_state_is_active(vm_state(vm)) && (!s->options.boot || s->options.boot >= vm->record->boot_id);
}

/* Writes what the pipe takes. */
static void stream_pump(LogStream *s) {
        for (unsigned i = 0; i < LINES_PER_TURN; i++) {
                ssize_t n;

                if (s->line_sent == s->line_len && !next_line(s)) {
                        if (!more_will_come(s)) {
                                stream_free(s);
                                return;
                        }
                        /* Errors (the reader's end closed) are seen with no events wanted. */
                        (void) sd_event_source_set_io_events(s->io, 0);
                        return;
                }
                n = write(s->fd, s->line + s->line_sent, s->line_len - s->line_sent);
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0) {
                        stream_free(s);
                        return;
                }
                s->line_sent += (size_t) n;
        }
        (void) sd_event_source_set_io_events(s->io, EPOLLOUT);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        LogStream *s = userdata;

        if (revents & (EPOLLERR | EPOLLHUP))
                stream_free(s);
        else
                stream_pump(s);
        return 0;
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata) {
        LogStream *s = userdata;

        console_log_look_again(s->log);
        stream_pump(s);
        return 0;
}

static void seek(LogStream *s) {
        const LogStreamOptions *o = &s->options;

        if (o->tail != UINT64_MAX)
                console_log_seek_tail(s->log, o->boot ? o->boot : UINT32_MAX, o->tail);
        else if (o->since)
                console_log_seek(s->log, LOG_BY_TIME, o->since);
        else
                console_log_seek(s->log, LOG_BY_BOOT, o->boot);
}

static int stream_watch(LogStream *s) {
        g_autofree char *path = g_build_filename(s->bus->runtime->config->state_directory, "vms", s->vm, NULL);
        int r = 0;

        /* The exit record is written there too, so the end of a boot is a change. */
        if (s->options.follow)
                r = sd_event_add_inotify(
                        s->bus->event, &s->watch, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO, on_change, s);
        return r < 0 ? r : sd_event_add_io(s->bus->event, &s->io, s->fd, EPOLLOUT, on_io, s);
}

int log_stream_new(Bus *b, VM *vm, uint32_t uid, const LogStreamOptions *options) {
        int pair[2], r;
        unsigned n = 0;
        LogStream *s;

        for (guint i = 0; i < b->streams->len; i++)
                n += ((LogStream *) b->streams->pdata[i])->uid == uid;
        if (uid != 0 && n >= b->runtime->config->log_followers_max)
                return -EDQUOT;
        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        (void) fcntl(pair[1], F_SETFL, O_NONBLOCK);
        s = g_new0(LogStream, 1);
        *s = (LogStream){.bus = b, .vm = g_strdup(vm->name), .uid = uid, .options = *options, .fd = pair[1]};
        g_ptr_array_add(b->streams, s);
        r = console_log_open(b->runtime->store, vm->name, &s->log);
        if (r >= 0)
                r = stream_watch(s);
        if (r < 0) {
                (void) close_fd(pair[0]);
                stream_free(s);
                return r;
        }
        seek(s);
        return pair[0];
}

void log_streams_end(Bus *b, const VM *vm) {
        for (guint i = 0; i < b->streams->len; i++) {
                LogStream *s = b->streams->pdata[i];

                if (strcmp(s->vm, vm->name) != 0)
                        continue;
                s->options.follow = false;
                s->watch = sd_event_source_disable_unref(s->watch);
                (void) sd_event_source_set_io_events(s->io, EPOLLOUT);
        }
}

void log_streams_free(Bus *b) {
        while (b->streams->len > 0)
                stream_free(b->streams->pdata[0]);
}
