/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the reading of secrets. The descriptor is the caller's, and so are its flags: who shares a pipe could empty it
 * between poll() and read(), so a pipe is drained by splice(), which can be told not to wait. */
#include "core/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"

struct Secret {
        int fd, pipe[2]; /* pipe: ours, between the caller's and us; -1 for a socket */
        sd_event_source *io, *timer;
        char text[SECRET_MAX + 1];
        size_t len;
        SecretDone done;
        void *userdata;
};

bool secret_fd_is_readable(int fd) {
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) != O_WRONLY && fstat(fd, &st) >= 0 &&
               (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

Secret *secret_cancel(Secret *s) {
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->io);
        sd_event_source_disable_unref(s->timer);
        (void) close_fd(s->fd);
        (void) close_fd(s->pipe[0]);
        (void) close_fd(s->pipe[1]);
        explicit_bzero(s, sizeof *s);
        g_free(s);
        return NULL;
}

static void secret_end(Secret *s, const Problem *problem) {
        s->io = sd_event_source_disable_unref(s->io);
        s->timer = sd_event_source_disable_unref(s->timer);
        s->done(problem ? NULL : s->text, problem ? 0 : s->len, problem, s->userdata);
        (void) secret_cancel(s);
}

/* What there is, at most len bytes; 0 at the end, -EAGAIN. */
static ssize_t take(Secret *s, char *buf, size_t len) {
        ssize_t n;

        if (s->pipe[0] < 0)
                n = recv(s->fd, buf, len, MSG_DONTWAIT);
        else {
                n = splice(s->fd, NULL, s->pipe[1], NULL, len, SPLICE_F_NONBLOCK);
                if (n > 0)
                        n = read(s->pipe[0], buf, (size_t) n);
        }
        return n < 0 ? -errno : n;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Secret *s = userdata;
        g_autoptr(Problem) problem = NULL;
        ssize_t n = take(s, s->text + s->len, sizeof s->text - s->len);

        if (n == -EAGAIN || n == -EINTR)
                return 0;
        if (n < 0)
                problem = problem_new(
                        "InvalidSpec", "password", "password: its descriptor cannot be read: %s", g_strerror((int) -n));
        else {
                s->len += (size_t) n;
                if (s->len > SECRET_MAX)
                        problem = problem_new("LimitExceeded", "password", "password: more than %u bytes", SECRET_MAX);
                else if (n > 0)
                        return 0;
        }
        secret_end(s, problem);
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Timeout", "password",
                "password: its descriptor was not closed at the other end within %llu s", SECRET_USEC / 1000000ULL);

        secret_end(userdata, problem);
        return 0;
}

int secret_read(sd_event *event, int fd, SecretDone done, void *userdata, Secret **ret) {
        Secret *s = g_new0(Secret, 1);
        struct stat st;
        int r = 0;

        *s = (Secret){.fd = fd, .pipe = {-1, -1}, .done = done, .userdata = userdata};
        if (fstat(fd, &st) < 0)
                r = -errno;
        else if (S_ISFIFO(st.st_mode) && pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
                r = -errno;
        if (r >= 0)
                r = sd_event_add_io(event, &s->io, fd, EPOLLIN, on_readable, s);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &s->timer, CLOCK_MONOTONIC, SECRET_USEC, 0, on_timeout, s);
        if (r < 0) {
                (void) secret_cancel(s);
                return r;
        }
        *ret = s;
        return 0;
}
