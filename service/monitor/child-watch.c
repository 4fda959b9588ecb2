/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the reaping of QEMU. Not sd_event_add_child_pidfd(): a process that dies while somebody traces it (strace, gdb) is
 * readable on its pidfd but cannot be reaped before its tracer lets go, and sd-event, which listens once, would then
 * never look again: a dead VM that runs for ever. */
#include "monitor/child-watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

struct child_watch {
        int pidfd;
        child_watch_t callback;
        void *userdata;
        sd_event_source *io, *retry;
};

/* Reaps the child if that can be done now, else looks again later. */
static int try_reap(struct child_watch *watch) {
        siginfo_t info = {};
        int r;

        if (waitid(P_PIDFD, (id_t) watch->pidfd, &info, WEXITED | WNOHANG) < 0)
                return errno == EINTR ? 0 : -errno;
        if (info.si_pid != 0) {
                watch->io = sd_event_source_disable_unref(watch->io);
                watch->retry = sd_event_source_disable_unref(watch->retry);
                watch->callback(watch->userdata, &info);
                return 0;
        }
        /* Readable all the time from here on: the clock is the better one to listen to. */
        r = sd_event_source_set_enabled(watch->io, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_time_relative(watch->retry, CHILD_WATCH_RETRY_USEC);
        return r >= 0 ? sd_event_source_set_enabled(watch->retry, SD_EVENT_ONESHOT) : r;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        return try_reap(userdata);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        return try_reap(userdata);
}

int child_watch_new(sd_event *event, int pidfd, child_watch_t callback, void *userdata, struct child_watch **ret) {
        struct child_watch *watch = calloc(1, sizeof *watch);
        int r;

        if (!watch)
                return -ENOMEM;
        *watch = (struct child_watch) {.pidfd = pidfd, .callback = callback, .userdata = userdata};
        r = sd_event_add_io(event, &watch->io, pidfd, EPOLLIN, on_readable, watch);
        if (r >= 0)
                r = sd_event_add_time(event, &watch->retry, CLOCK_MONOTONIC, 0, 10000, on_retry, watch);
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->retry, SD_EVENT_OFF);
        if (r < 0) {
                child_watch_free(watch);
                return r;
        }
        *ret = watch;
        return 0;
}

struct child_watch *child_watch_free(struct child_watch *watch) {
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->io);
        sd_event_source_disable_unref(watch->retry);
        free(watch);
        return NULL;
}
