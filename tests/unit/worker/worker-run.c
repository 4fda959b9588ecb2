/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's side of the launch socket, for one worker. */
#include "unit.h"

#include "worker-run.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

static int listen_at(const char *path) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        g_strlcpy(sa.sun_path, path, sizeof sa.sun_path);
        assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof sa), 0);
        assert_int_equal(listen(fd, 1), 0);
        return fd;
}

static pid_t start_worker(const char *socket_path, rlim_t max_file) {
        const char *program = getenv("MCP_IMAGE_WORKER");
        struct rlimit limit = {.rlim_cur = max_file, .rlim_max = max_file};
        pid_t pid;

        assert_non_null(program);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                setenv("MCP_LAUNCH_SOCKET", socket_path, 1);
                if (max_file > 0)
                        (void) setrlimit(RLIMIT_FSIZE, &limit);
                execl(program, program, NULL);
                _exit(127);
        }
        return pid;
}

static void send_launch(int sock, json_t *launch, const char *const *names, const int *fds) {
        json_t *list = json_array();
        size_t n = 0;

        for (; names[n]; n++)
                json_array_append_new(list, json_string(names[n]));
        json_object_set_new(launch, "fds", list);
        assert_int_equal(wire_send(sock, launch, fds, n), 0);
}

static void receive_all(int sock, struct outcome *o, WorkerAsks asks, void *userdata) {
        int fds[LAUNCH_FDS_MAX];
        size_t n_fds;

        for (;;) {
                json_t *m;
                const char *type;

                if (wire_recv(sock, &m, fds, &n_fds) <= 0)
                        return;
                assert_int_equal(n_fds, 0);
                type = wire_type(m);
                if (g_str_equal(type, "progress")) {
                        double fraction = json_real_value(json_object_get(m, "fraction"));

                        assert_true(fraction >= 0 && fraction <= 1);
                        o->n_progress++;
                } else if (g_str_equal(type, "log")) {
                        o->n_log++;
                } else if (g_str_equal(type, "digest")) {
                        assert_null(o->last);
                        (void) g_strlcpy(o->digest, json_string_value(json_object_get(m, "digest")), sizeof o->digest);
                } else if (asks && !g_str_equal(type, "done") && !g_str_equal(type, "failed")) {
                        asks(sock, m, userdata);
                } else {
                        assert_null(o->last);
                        o->last = json_incref(m);
                }
                json_decref(m);
        }
}

/* False: it has ended before. */
static bool connects(int listener, pid_t pid) {
        _cleanup_close_ int pidfd = pidfd_open(pid, 0);
        struct pollfd p[] = {{.fd = listener, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

        assert_true(poll(p, 2, -1) > 0);
        return p[0].revents;
}

static struct outcome run(json_t *launch, const char *const *names, const int *fds, rlim_t max_file, WorkerAsks asks,
        void *userdata) {
        g_autofree char *dir = g_dir_make_tmp("worker-XXXXXX", NULL);
        g_autofree char *path = g_build_filename(dir, "launch", NULL);
        _cleanup_close_ int listener = listen_at(path), sock = -1;
        struct outcome o = {.output = -1};
        int ignored[LAUNCH_FDS_MAX];
        struct rusage usage;
        json_t *hello;
        size_t n;
        pid_t pid;

        pid = start_worker(path, max_file);
        if (connects(listener, pid)) {
                sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                assert_true(sock >= 0);
                assert_int_equal(wire_recv(sock, &hello, ignored, &n), 1);
                assert_string_equal(wire_type(hello), "hello");
                json_decref(hello);
                send_launch(sock, launch, names, fds);
                receive_all(sock, &o, asks, userdata);
        }
        json_decref(launch);
        assert_int_equal(wait4(pid, &o.status, 0, &usage), pid);
        o.peak_kib = usage.ru_maxrss;
        (void) unlink(path);
        (void) rmdir(dir);
        return o;
}

struct outcome worker_run(json_t *launch, const char *const *names, const int *fds, rlim_t max_file) {
        return run(launch, names, fds, max_file, NULL, NULL);
}

struct outcome worker_run_asking(
        json_t *launch, const char *const *names, const int *fds, WorkerAsks asks, void *userdata) {
        return run(launch, names, fds, 0, asks, userdata);
}

int bytes_memfd(const GByteArray *data) {
        int fd = memfd_create("source", MFD_CLOEXEC);

        assert_int_equal(write_all(fd, data->data, data->len), 0);
        return fd;
}

struct outcome import_fd(int source, json_t *more) {
        static const char *const names[] = {"source", "output", NULL};
        int fds[] = {source, memfd_create("output", MFD_CLOEXEC)};
        json_t *launch = json_pack("{s:s, s:s, s:s}", "type", "launch", "op", "import", "architecture", "x86_64");
        struct outcome o;

        if (more)
                json_object_update(launch, more);
        json_decref(more);
        o = worker_run(launch, source < 0 ? names + 1 : names, source < 0 ? fds + 1 : fds, 0);
        o.output = fds[1];
        return o;
}

struct outcome import_bytes(const GByteArray *source, json_t *limits) {
        _cleanup_close_ int fd = bytes_memfd(source);

        return import_fd(fd, limits ? json_pack("{s:o}", "limits", limits) : NULL);
}

void outcome_clear(struct outcome *o) {
        json_decref(o->last);
        o->output = close_fd(o->output);
        *o = (struct outcome){.output = -1};
}

unsigned complaints;

void assert_no_complaints(void) {
        unsigned n = complaints;

        complaints = 0;
        assert_int_equal(n, 0);
}
