/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stand-in for mcp-runtimed's end of the launch socket. */
#include "unit.h"

#include "fake-daemon.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

#define WAIT_MS 10000

static int listen_at(const struct fake_daemon *d, const char *name, int type, const char *variable) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        (void) snprintf(sa.sun_path, sizeof sa.sun_path, "%s/%s", d->dir, name);
        assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof sa), 0);
        assert_int_equal(setenv(variable, sa.sun_path, 1), 0);
        return fd;
}

static void wait_readable(int fd, const char *what) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        if (poll(&p, 1, WAIT_MS) != 1)
                fail_msg("waited in vain for %s", what);
}

void fake_daemon_open(struct fake_daemon *d) {
        *d = (struct fake_daemon){.dir = "/tmp/mcp-unit-XXXXXX", .link = -1, .journal = -1};
        assert_non_null(mkdtemp(d->dir));
        d->listener = listen_at(d, "launch", SOCK_SEQPACKET, "MCP_LAUNCH_SOCKET");
        assert_int_equal(listen(d->listener, 8), 0);
        d->notify = listen_at(d, "notify", SOCK_DGRAM, "NOTIFY_SOCKET");
}

void fake_daemon_close(struct fake_daemon *d) {
        char path[96];

        if (d->helper > 0) {
                (void) kill(d->helper, SIGKILL);
                (void) waitpid(d->helper, NULL, 0);
        }
        (void) close_fd(d->link);
        (void) close_fd(d->listener);
        (void) close_fd(d->notify);
        (void) snprintf(path, sizeof path, "%s/launch", d->dir);
        (void) unlink(path);
        (void) snprintf(path, sizeof path, "%s/notify", d->dir);
        (void) unlink(path);
        (void) rmdir(d->dir);
}

json_t *fake_daemon_accept(struct fake_daemon *d) {
        wait_readable(d->listener, "a connection");
        d->link = accept(d->listener, NULL, NULL);
        assert_true(d->link >= 0);
        return fake_daemon_expect(d, "hello");
}

void fake_daemon_drop(struct fake_daemon *d) {
        d->link = close_fd(d->link);
}

void fake_daemon_fork(struct fake_daemon *d, const char *program) {
        assert_non_null(program);
        d->helper = fork();
        if (d->helper == 0) {
                if (d->journal >= 0)
                        (void) dup2(d->journal, STDERR_FILENO);
                (void) execl(program, program, (char *) NULL);
                _exit(126);
        }
}

void fake_daemon_start(struct fake_daemon *d, const char *program) {
        json_t *hello;

        fake_daemon_fork(d, program);
        hello = fake_daemon_accept(d);
        assert_int_equal(number_of(hello, "version"), LAUNCH_WIRE_VERSION);
        assert_null(json_object_get(hello, "state"));
        json_decref(hello);
}

void fake_daemon_send(struct fake_daemon *d, json_t *message, const int *fds, size_t n_fds) {
        assert_non_null(message);
        assert_int_equal(wire_send(d->link, message, fds, n_fds), 0);
        json_decref(message);
}

json_t *fake_daemon_expect(struct fake_daemon *d, const char *type) {
        int fds[LAUNCH_FDS_MAX];
        json_t *message;
        size_t n_fds;

        wait_readable(d->link, type ? type : "anything");
        if (wire_recv(d->link, &message, fds, &n_fds) != 1)
                fail_msg("the connection ended instead of \"%s\"", type ? type : "anything");
        assert_int_equal(n_fds, 0);
        if (type && strcmp(wire_type(message), type) != 0) {
                char *text = json_dumps(message, 0);

                print_error("%s\n", text);
                free(text);
                assert_string_equal(wire_type(message), type);
        }
        return message;
}

void fake_daemon_skip(struct fake_daemon *d, const char *type) {
        json_decref(fake_daemon_expect(d, type));
}

int fake_daemon_wait(struct fake_daemon *d) {
        int pidfd = pidfd_open(d->helper, 0), status;

        wait_readable(pidfd, "the end of the helper");
        (void) close(pidfd);
        assert_int_equal(waitpid(d->helper, &status, 0), d->helper);
        d->helper = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void fake_daemon_notified(struct fake_daemon *d, char *buf, size_t size) {
        size_t used = 0;

        buf[0] = 0;
        for (;;) {
                ssize_t n = recv(d->notify, buf + used, size - used - 2, MSG_DONTWAIT);

                if (n <= 0)
                        return;
                used += (size_t) n;
                buf[used++] = '\n';
                buf[used] = 0;
        }
}

const char *text_of(const json_t *message, const char *key) {
        const char *s = json_string_value(json_object_get(message, key));

        return s ? s : "";
}

json_int_t number_of(const json_t *message, const char *key) {
        return json_integer_value(json_object_get(message, key));
}
