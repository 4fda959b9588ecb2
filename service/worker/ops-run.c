/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One child in a process group of its own, two pipes, one deadline. */
#include "worker/ops-run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/fd.h"

#define REST_READS 1024U /* of what is in the pipes at the end: more than they hold */

struct child {
        pid_t pid;
        int pidfd, out, err;
};

/* Only async-signal-safe calls: this is the child. */
__attribute__((noreturn)) static void exec_child(
        char *const *argv, char *const *envp, const char *cwd, int out, int err, int report) {
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC), error;

        (void) setpgid(0, 0);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (null >= 0 && chdir(cwd) == 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
                dup2(err, STDERR_FILENO) >= 0)
                (void) execve(argv[0], argv, envp);
        error = errno;
        (void) !write(report, &error, sizeof error);
        _exit(127);
}

static int spawn(char *const *argv, char *const *envp, const char *cwd, struct child *c) {
        int out[2] = {-1, -1}, err[2] = {-1, -1}, report[2] = {-1, -1}, error = 0, r = 0;

        *c = (struct child){.pidfd = -1, .out = -1, .err = -1};
        if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0 ||
                (c->pid = fork()) < 0)
                r = -errno;
        if (r >= 0 && c->pid == 0)
                exec_child(argv, envp, cwd, out[1], err[1], report[1]);
        report[1] = close_fd(report[1]);
        if (r >= 0 && read(report[0], &error, sizeof error) == sizeof error) {
                (void) waitpid(c->pid, NULL, 0);
                r = error > 0 ? -error : -EIO;
        } else if (r >= 0 && (c->pidfd = pidfd_open(c->pid, 0)) < 0) {
                r = -errno;
                (void) kill(c->pid, SIGKILL);
                (void) waitpid(c->pid, NULL, 0);
        }
        if (r >= 0) {
                c->out = take_fd(&out[0]);
                c->err = take_fd(&err[0]);
        }
        for (unsigned i = 0; i < 2; i++) {
                (void) close_fd(out[i]);
                (void) close_fd(err[i]);
                (void) close_fd(report[i]);
        }
        return r;
}

/* Takes what is there; the beginning goes where it becomes too much. -1 in *fd at the end. */
static void take_output(int *fd, GString *text) {
        char buf[8192];
        ssize_t n = read(*fd, buf, sizeof buf);

        if (n < 0 && errno == EINTR)
                return;
        if (n <= 0) {
                *fd = close_fd(*fd);
                return;
        }
        g_string_append_len(text, buf, n);
        if (text->len > 2 * RUN_OUTPUT_MAX)
                g_string_erase(text, 0, (gssize) (text->len - RUN_OUTPUT_MAX));
}

/* Until the process has ended and its pipes are empty. Somebody it left behind may hold them: that is not waited for.
 */
static void attend(struct child *c, uint64_t deadline, struct run_result *ret) {
        bool ended = false;

        for (unsigned rest = 0; rest < REST_READS; rest += ended) {
                struct pollfd fds[] = {{.fd = c->out, .events = POLLIN}, {.fd = c->err, .events = POLLIN},
                        {.fd = ended ? -1 : c->pidfd, .events = POLLIN}};
                uint64_t now = now_monotonic();
                int left = now < deadline ? (int) MIN((deadline - now) / 1000 + 1, G_MAXINT) : 0;
                int n = poll(fds, G_N_ELEMENTS(fds), ended ? 0 : left);

                if (n < 0 && errno != EINTR)
                        return;
                if (n == 0 && ended)
                        return;
                if (now >= deadline && !ret->timed_out && !ended) {
                        ret->timed_out = true;
                        (void) kill(-c->pid, SIGKILL);
                        (void) pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
                        deadline = UINT64_MAX;
                        continue;
                }
                if (n <= 0)
                        continue;
                if (fds[0].revents)
                        take_output(&c->out, ret->out);
                if (fds[1].revents)
                        take_output(&c->err, ret->err);
                if (!ended && fds[2].revents) {
                        ended = true;
                        (void) kill(-c->pid, SIGKILL); /* whom it left behind; the zombie still keeps the number */
                }
        }
}

int run_program(char *const *argv, char *const *envp, const char *cwd, uint64_t timeout_usec, struct run_result *ret) {
        struct child c;
        int r;

        *ret = (struct run_result){.out = g_string_new(NULL), .err = g_string_new(NULL)};
        r = spawn(argv, envp, cwd, &c);
        if (r < 0) {
                run_result_clear(ret);
                return r;
        }
        attend(&c, now_monotonic() + timeout_usec, ret);
        (void) waitpid(c.pid, &ret->status, 0);
        (void) close_fd(c.pidfd);
        (void) close_fd(c.out);
        (void) close_fd(c.err);
        return 0;
}

void run_result_clear(struct run_result *r) {
        if (r->out)
                (void) g_string_free(r->out, TRUE);
        if (r->err)
                (void) g_string_free(r->err, TRUE);
        *r = (struct run_result){};
}
