/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns how passt is started, and what its output means. */
#include "helpers/passt-process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"

#define OUTPUT_MAX 8192U       /* of what passt says we keep the end */
#define START_TIMEOUT_MS 20000 /* passt's own start takes milliseconds */
#define PICKED_MAX 256U

struct output {
        size_t len;
        char text[OUTPUT_MAX + 1];
};

/* What passt prints before it fails, and that is not the reason. */
static bool is_noise(const char *line) {
        static const char *const noise[] = {"Failed to send ", "Don't run as root", "Couldn't open log", "No external"};

        for (size_t i = 0; i < sizeof noise / sizeof *noise; i++)
                if (strncmp(line, noise[i], strlen(noise[i])) == 0)
                        return true;
        return *line == 0;
}

/* The last line that says something; changes the text. */
static const char *last_line(struct output *output) {
        const char *found = NULL;
        char *rest = output->text;

        output->text[output->len] = 0;
        for (size_t i = 0; i < output->len; i++)
                if (output->text[i] != '\n' && (output->text[i] < ' ' || output->text[i] > '~'))
                        output->text[i] = '?';
        for (char *line; (line = strsep(&rest, "\n"));)
                if (!is_noise(line))
                        found = line;
        return found ? found : "passt gave no reason";
}

static int fail(PasstFailure *f, const char *error, const char *message) {
        f->error = error;
        (void) snprintf(f->message, sizeof f->message, "%s", message);
        return -ECANCELED;
}

static int fail_errno(PasstFailure *f, const char *what, int error) {
        f->error = "Failed";
        (void) snprintf(f->message, sizeof f->message, "%s: %s", what, strerror(error));
        return -ECANCELED;
}

/* In the child: exactly the standard descriptors and PASST_FD. Returns an errno when passt could not be executed. */
static int execute(char *const *argv, int sock, int output, int report) {
        static char path[] = "PATH=/usr/bin:/bin", lang[] = "LANG=C";
        static char *const environment[] = {path, lang, NULL};
        int null = open("/dev/null", O_RDWR | O_CLOEXEC), high[3];
        sigset_t blocked;

        (void) sigfillset(&blocked);

        /* The copies are above every target, so that no dup2() overwrites the source of the next. */
        high[0] = fcntl(sock, F_DUPFD_CLOEXEC, 16);
        high[1] = fcntl(output, F_DUPFD_CLOEXEC, 16);
        high[2] = fcntl(report, F_DUPFD_CLOEXEC, 16);
        if (null < 0 || high[0] < 0 || high[1] < 0 || high[2] < 0)
                return errno;
        if (dup2(null, STDIN_FILENO) < 0 || dup2(high[1], STDOUT_FILENO) < 0 || dup2(high[1], STDERR_FILENO) < 0 ||
                dup2(high[0], PASST_FD) < 0)
                return errno;
        if (close_range(PASST_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                return errno;
        (void) signal(SIGPIPE, SIG_DFL);
        (void) sigprocmask(SIG_UNBLOCK, &blocked, NULL);
        (void) execvpe(argv[0], argv, environment);
        {
                int error = errno;

                (void) !write(high[2], &error, sizeof error);
                _exit(127);
        }
}

/* Reads what there is; the oldest half goes when the buffer is full. False at the end of the pipe. */
static bool read_output(int fd, struct output *output) {
        ssize_t n;

        if (output->len == OUTPUT_MAX) {
                output->len = OUTPUT_MAX / 2;
                memmove(output->text, output->text + OUTPUT_MAX / 2, output->len);
        }
        n = read(fd, output->text + output->len, OUTPUT_MAX - output->len);
        if (n > 0)
                output->len += (size_t) n;
        return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Collects passt's output until its first process ends; the daemon it leaves behind may hold the pipe open. */
static int await_first(pid_t pid, int fd, struct output *output) {
        _cleanup_close_ int pidfd = pidfd_open(pid, 0);
        int status;

        struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

        (void) fcntl(fd, F_SETFL, O_NONBLOCK);
        while (pidfd >= 0 && !(p[1].revents & POLLIN)) {
                int r = poll(p, 2, START_TIMEOUT_MS);

                if (r < 0 && errno != EINTR)
                        break;
                if (r == 0)
                        (void) kill(pid, SIGKILL); /* our child, not waited for: it is still this one */
                if (p[0].revents && !read_output(fd, output))
                        p[0].fd = -1;
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        /* What was written before the end, and one round is enough for what fits the reason. */
        if (p[0].fd >= 0)
                (void) read_output(fd, output);
        return status;
}

/* A socket that holds port of that address; port 0 becomes a free one. */
static int bind_port(const char *address, bool udp, uint16_t *port) {
        union {
                struct sockaddr sa;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
        } a = {};
        socklen_t len = sizeof a.v4;
        _cleanup_close_ int fd = -1;

        if (inet_pton(AF_INET, address, &a.v4.sin_addr) == 1)
                a.v4 = (struct sockaddr_in){AF_INET, htons(*port), a.v4.sin_addr, {0}};
        else if (inet_pton(AF_INET6, address, &a.v6.sin6_addr) == 1) {
                a.v6.sin6_family = AF_INET6;
                a.v6.sin6_port = htons(*port);
                len = sizeof a.v6;
        } else
                return -EINVAL;
        fd = socket(a.sa.sa_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, &a.sa, len) < 0 || getsockname(fd, &a.sa, &len) < 0)
                return -errno;
        *port = ntohs(a.sa.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
        return take_fd(&fd);
}

/* Which of passt's forwards ("ADDRESS/PORT:GUEST") is taken: it does not say. */
static int say_taken(char *const *argv, PasstFailure *f) {
        bool udp = false;

        for (size_t i = 1; argv[i]; i++) {
                char *forward = strncmp(argv[i], "--", 2) == 0 ? NULL : strrchr(argv[i], '/');
                char address[INET6_ADDRSTRLEN];
                uint16_t port;
                int fd;

                if (strncmp(argv[i], "--", 2) == 0)
                        udp = strcmp(argv[i], "--udp-ports") == 0;
                if (!forward)
                        continue;
                if ((size_t) (forward - argv[i]) >= sizeof address)
                        continue;
                memcpy(address, argv[i], (size_t) (forward - argv[i]));
                address[forward - argv[i]] = 0;
                port = (uint16_t) atoi(forward + 1);
                fd = bind_port(address, udp, &port);
                if (fd < 0 && fd != -EINVAL) {
                        f->error = fd == -EADDRINUSE ? "PortInUse" : "Failed";
                        (void) snprintf(f->message, sizeof f->message, "%s port %u of %s: %s", udp ? "UDP" : "TCP",
                                (unsigned) atoi(forward + 1), address, strerror(-fd));
                        return -ECANCELED;
                }
                (void) close_fd(fd);
        }
        return fail(f, "Failed",
                "passt cannot bind a port that is free; one of an IPv6 address needs a host with a way out over IPv6");
}

static pid_t start(char *const *argv, int socket_fd, int output, int report) {
        pid_t pid = fork();

        if (pid == 0) {
                int error = execute(argv, socket_fd, output, report);

                (void) !write(report, &error, sizeof error);
                _exit(127);
        }
        return pid;
}

int passt_start(char *const *argv, int sock, PasstFailure *ret_failure) {
        _cleanup_close_ int socket_fd = sock, out_read = -1, out_write = -1, report_read = -1, report_write = -1;
        struct output output = {};
        int pair[2], error = 0, status;
        const char *line;
        pid_t pid;

        if (pipe2(pair, O_CLOEXEC) < 0)
                return fail_errno(ret_failure, "no pipe", errno);
        out_read = pair[0];
        out_write = pair[1];
        if (pipe2(pair, O_CLOEXEC) < 0)
                return fail_errno(ret_failure, "no pipe", errno);
        report_read = pair[0];
        report_write = pair[1];

        pid = start(argv, socket_fd, out_write, report_write);
        if (pid < 0)
                return fail_errno(ret_failure, "no process", errno);
        out_write = close_fd(out_write);
        report_write = close_fd(report_write);
        /* passt sees our end close only when nobody else holds its own. */
        socket_fd = close_fd(socket_fd);

        if (read(report_read, &error, sizeof error) == sizeof error) {
                (void) waitpid(pid, NULL, 0);
                if (error == ENOENT)
                        return fail(ret_failure, "ToolMissing", "passt is not installed (package passt)");
                return fail_errno(ret_failure, "passt cannot be executed", error);
        }
        status = await_first(pid, out_read, &output);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (status < 0 || WIFSIGNALED(status))
                return fail(ret_failure, "Failed", "passt was ended by a signal");
        line = last_line(&output);
        if (strstr(line, "Address already in use") || strstr(line, "ailed to bind"))
                return say_taken(argv, ret_failure);
        return fail(ret_failure, "Failed", line);
}

int passt_await_end(uint64_t usec) {
        uint64_t end = now_monotonic() + usec, now;
        struct timespec wait;
        sigset_t child;
        pid_t pid;

        (void) sigemptyset(&child);
        (void) sigaddset(&child, SIGCHLD);
        for (;;) {
                while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
                        ;
                if (pid < 0 && errno == ECHILD)
                        return 0;
                now = now_monotonic();
                if (now >= end)
                        return -ETIMEDOUT;
                wait.tv_sec = (time_t) ((end - now) / 1000000U);
                wait.tv_nsec = (long) ((end - now) % 1000000U) * 1000;
                (void) sigtimedwait(&child, NULL, &wait);
        }
}

/* ---- Ports to pick ---- */

/* "ADDRESS/0:GUEST": where the 0 is, else NULL. */
static char *find_zero(char *forward) {
        char *slash = strrchr(forward, '/');

        return slash && slash[1] == '0' && slash[2] == ':' ? slash : NULL;
}

static int pick(char **arg, char *slash, bool udp, json_t *picked) {
        uint16_t port = 0;
        char *text;
        int fd;

        *slash = 0;
        fd = bind_port(*arg, udp, &port);
        if (fd < 0)
                return fd;
        if (asprintf(&text, "%s/%u%s", *arg, port, slash + 2) < 0) {
                (void) close_fd(fd);
                return -ENOMEM;
        }
        free(*arg);
        *arg = text;
        (void) json_array_append_new(picked, json_integer(port));
        return fd;
}

int passt_pick_ports(char **argv, json_t *picked) {
        int fds[PICKED_MAX], n = 0, r = 0;
        bool udp = false;

        for (size_t i = 1; argv[0] && argv[i] && r >= 0; i++) {
                char *slash;

                if (strncmp(argv[i], "--", 2) == 0) {
                        udp = strcmp(argv[i], "--udp-ports") == 0;
                        continue;
                }
                slash = find_zero(argv[i]);
                if (!slash)
                        continue;
                r = n < (int) PICKED_MAX ? pick(&argv[i], slash, udp, picked) : -E2BIG;
                if (r >= 0)
                        fds[n++] = r;
        }
        /* All were held until now, so that no two are the same. */
        for (int i = 0; i < n; i++)
                (void) close_fd(fds[i]);
        return r < 0 ? r : n;
}
