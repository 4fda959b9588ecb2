/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-passt: the main process of mcp-passt@VM.service. Starts passt on the socket it was given, says when the ports are
 * bound or why they are not, and stays until passt has ended, which it does with the VM's end of the socket. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "helpers/frame-guard.h"
#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

#define ARGV_MAX 512U
#define OUTPUT_MAX 8192U /* of what passt says we keep the end */

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

static int say_failed(int sock, const char *error, const char *message) {
        (void) fprintf(stderr, "mcp-passt: %s: %s\n", error, message);
        (void) sd_notifyf(0, "STATUS=%s: %s", error, message);
        (void) wire_send_new(sock, json_pack("{s:s, s:s, s:s}", "type", "failed", "error", error, "message", message));
        return EXIT_FAILURE;
}

static int say_failed_errno(int sock, const char *what, int error) {
        char text[128];

        (void) snprintf(text, sizeof text, "%s: %s", what, strerror(error));
        return say_failed(sock, "Failed", text);
}

/* In the child: exactly the standard descriptors and PASST_FD. Returns an errno when passt could not be executed. */
static int execute(char *const *argv, int sock, int output, int report) {
        static char path[] = "PATH=/usr/bin:/bin", lang[] = "LANG=C";
        static char *const environment[] = {path, lang, NULL};
        int null = open("/dev/null", O_RDWR | O_CLOEXEC), high[3];

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
                if (poll(p, 2, -1) < 0 && errno != EINTR)
                        break;
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

static char **copy_argv(const json_t *launch) {
        const json_t *argv = json_object_get(launch, "argv");
        size_t n = json_array_size(argv);
        char **copy;

        if (n == 0 || n > ARGV_MAX)
                return NULL;
        copy = calloc(n + 1, sizeof *copy);
        for (size_t i = 0; copy && i < n; i++) {
                const char *arg = json_string_value(json_array_get(argv, i));

                copy[i] = arg ? strdup(arg) : NULL;
                if (!copy[i]) {
                        while (i > 0)
                                free(copy[--i]);
                        free(copy);
                        return NULL;
                }
        }
        return copy;
}

static void free_argv(char **argv) {
        for (size_t i = 0; argv && argv[i]; i++)
                free(argv[i]);
        free(argv);
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

/* Runs passt until its ports are bound. Returns 0, or the exit status after the failure has been said. */
static int bring_up(int sock, char *const *argv, int *socket_fd) {
        _cleanup_close_ int out_read = -1, out_write = -1, report_read = -1, report_write = -1;
        struct output output = {};
        int pair[2], error = 0, status;
        pid_t pid;

        if (pipe2(pair, O_CLOEXEC) < 0)
                return say_failed_errno(sock, "no pipe", errno);
        out_read = pair[0];
        out_write = pair[1];
        if (pipe2(pair, O_CLOEXEC) < 0)
                return say_failed_errno(sock, "no pipe", errno);
        report_read = pair[0];
        report_write = pair[1];

        pid = start(argv, *socket_fd, out_write, report_write);
        if (pid < 0)
                return say_failed_errno(sock, "no process", errno);
        out_write = close_fd(out_write);
        report_write = close_fd(report_write);
        /* passt sees the VM's end only when nobody else holds the socket. */
        *socket_fd = close_fd(*socket_fd);

        if (read(report_read, &error, sizeof error) == sizeof error) {
                (void) waitpid(pid, NULL, 0);
                if (error == ENOENT)
                        return say_failed(sock, "ToolMissing", "passt is not installed (package passt)");
                return say_failed_errno(sock, "passt cannot be executed", error);
        }
        status = await_first(pid, out_read, &output);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (status < 0 || WIFSIGNALED(status))
                return say_failed(sock, "Failed", "passt was ended by a signal");
        {
                const char *line = last_line(&output);
                bool bind = strstr(line, "Address already in use") || strstr(line, "ailed to bind");

                return say_failed(sock, bind ? "PortInUse" : "Failed", line);
        }
}

/* The frames between QEMU and passt go through here, each way in a process of its own: neither waits for the other. */
static int relay(int guest, int passt) {
        pid_t pid = fork();

        if (pid < 0)
                return -errno;
        if (pid == 0) {
                frame_guard_run(guest, passt);
                (void) shutdown(passt, SHUT_RDWR); /* passt ends with its socket, and the way back with it */
                _exit(EXIT_SUCCESS);
        }
        frame_copy_run(passt, guest);
        (void) shutdown(guest, SHUT_RDWR);
        (void) shutdown(passt, SHUT_RDWR);
        return 0;
}

/* passt's daemon process is our child since its parent ended. Returns when there is none left. */
static int outlive_passt(void) {
        int status, result = EXIT_SUCCESS;

        for (;;) {
                if (wait(&status) < 0) {
                        if (errno == EINTR)
                                continue;
                        return result;
                }
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                        result = EXIT_FAILURE;
        }
}

static int handle(int sock, const json_t *message, int *fds, size_t n_fds) {
        char **argv;
        int r, pair[2];

        if (strcmp(wire_type(message), "goodbye") == 0)
                return EXIT_SUCCESS;
        argv = strcmp(wire_type(message), "launch") == 0 ? copy_argv(message) : NULL;
        if (!argv || n_fds != 1) {
                free_argv(argv);
                return say_failed(sock, "Failed", "the launch message has no argv or not exactly one descriptor");
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
                free_argv(argv);
                return say_failed_errno(sock, "no socket pair", errno);
        }
        r = bring_up(sock, argv, &pair[1]);
        free_argv(argv);
        if (r != 0) {
                (void) close_fd(pair[0]);
                (void) close_fd(pair[1]);
                return r;
        }
        (void) wire_send_new(sock, json_pack("{s:s}", "type", "ready"));
        (void) sd_notify(0, "READY=1\nSTATUS=passt has bound its ports");
        r = relay(fds[0], pair[0]);
        (void) close_fd(pair[0]);
        if (r < 0)
                return say_failed_errno(sock, "no process", -r);
        return outlive_passt();
}

int main(int argc, char *argv[]) {
        _cleanup_close_ int sock = -1;
        int fds[LAUNCH_FDS_MAX], r;
        json_t *message;
        size_t n_fds;

        if (argc > 1) {
                (void) fprintf(stderr, "mcp-passt takes no argument; it is started as mcp-passt@VM.service\n");
                return EXIT_FAILURE;
        }
        (void) signal(SIGPIPE, SIG_IGN);
        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return EXIT_FAILURE;
        sock = wire_connect(NULL);
        r = sock < 0 ? sock : wire_recv(sock, &message, fds, &n_fds);
        if (r <= 0) {
                (void) fprintf(stderr, "mcp-passt: no launch message: %s\n", r < 0 ? strerror(-r) : "connection closed");
                return EXIT_FAILURE;
        }
        r = handle(sock, message, fds, n_fds);
        while (n_fds > 0)
                (void) close_fd(fds[--n_fds]);
        json_decref(message);
        return r;
}
