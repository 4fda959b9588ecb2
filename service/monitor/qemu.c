/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the birth of the QEMU process: its descriptors, its environment, and the reason when it cannot be. */
#include "monitor/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"

/* Above every number that the new process uses. */
#define FD_PARKED 128
#define CHANNELS 4U
#define TARGETS_MAX (QEMU_FD_FIRST + LAUNCH_FDS_MAX)

enum stage { STAGE_DESCRIPTORS, STAGE_EXEC };

#define CHANNEL_BUFFER (4 * 1024 * 1024)

static const char *const stage_table[] = {
        [STAGE_DESCRIPTORS] = "cannot arrange its descriptors",
        [STAGE_EXEC] = "cannot execute it",
};

struct spawn_error {
        enum stage stage;
        int error;
};

/* What one spawn needs; ours[] and theirs[] are the channels in the order of their numbers in QEMU. */
struct spawn {
        int ours[CHANNELS], theirs[CHANNELS];
        int output[2], report[2];
        int null;
};

static void spawn_close(struct spawn *s) {
        for (size_t i = 0; i < CHANNELS; i++) {
                s->ours[i] = close_fd(s->ours[i]);
                s->theirs[i] = close_fd(s->theirs[i]);
        }
        for (size_t i = 0; i < 2; i++) {
                s->output[i] = close_fd(s->output[i]);
                s->report[i] = close_fd(s->report[i]);
        }
        s->null = close_fd(s->null);
}

static int spawn_open(struct spawn *s) {
        memset(s, 0xff, sizeof *s);
        for (size_t i = 0; i < CHANNELS; i++) {
                int pair[2];

                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                        return -errno;
                s->ours[i] = pair[0];
                s->theirs[i] = pair[1];
                if (fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
                        return -errno;
                /* QEMU's virtconsole drops what its socket does not take at once; the kernel cuts this to its own
                 * limit. */
                (void) setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &(int){CHANNEL_BUFFER}, sizeof(int));
        }
        if (pipe2(s->output, O_CLOEXEC) < 0 || pipe2(s->report, O_CLOEXEC) < 0)
                return -errno;
        if (fcntl(s->output[0], F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        s->null = open("/dev/null", O_RDWR | O_CLOEXEC);
        return s->null < 0 ? -errno : 0;
}

/* Puts wanted[i] at number i, without close-on-exec, and closes everything else but *report. Only async-signal-safe
 * calls from here on: this runs in the child. */
static int place_fds(const int *wanted, int n, int *report) {
        int parked[TARGETS_MAX], high;

        for (int i = 0; i < n; i++) {
                parked[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, FD_PARKED);
                if (parked[i] < 0)
                        return -errno;
        }
        high = fcntl(*report, F_DUPFD_CLOEXEC, FD_PARKED);
        if (high < 0)
                return -errno; /* and that is reported, too */
        *report = high;
        for (int i = 0; i < n; i++)
                if (dup2(parked[i], i) < 0)
                        return -errno;
        if (close_range((unsigned) n, (unsigned) *report - 1, 0) < 0 || close_range((unsigned) *report + 1, ~0U, 0) < 0)
                return -errno;
        return 0;
}

static void reset_signals(void) {
        struct sigaction sa = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                (void) sigaction(i, &sa, NULL);
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((noreturn)) static void child(
        char *const *argv, char *const *more, const struct spawn *s, const int *fds, size_t n_fds) {
        static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C.UTF-8";
        char *environment[2 + QEMU_ENVIRONMENT_MAX + 1] = {path, lang};
        struct spawn_error e = {.stage = STAGE_DESCRIPTORS};
        int wanted[TARGETS_MAX] = {s->null, s->output[1], s->output[1]}, n = STDERR_FILENO + 1, report = s->report[1],
            r;

        for (size_t i = 0; i < CHANNELS; i++)
                wanted[n++] = s->theirs[i];
        for (size_t i = 0; i < n_fds; i++)
                wanted[n++] = fds[i];

        for (size_t i = 0; i < QEMU_ENVIRONMENT_MAX && more[i]; i++)
                environment[2 + i] = more[i];
        reset_signals();
        r = place_fds(wanted, n, &report);
        if (r >= 0) {
                e.stage = STAGE_EXEC;
                (void) execve(argv[0], argv, environment);
                r = -errno;
        }
        e.error = r;
        (void) !write(report, &e, sizeof e);
        _exit(127);
}

/* Waits until the child has executed QEMU, which closes the pipe, or said why not. */
static int await_exec(struct spawn *s, pid_t pid, const char **ret_stage) {
        struct spawn_error e;
        ssize_t n;

        s->report[1] = close_fd(s->report[1]);
        do
                n = read(s->report[0], &e, sizeof e);
        while (n < 0 && errno == EINTR);
        if (n == 0)
                return 0;
        (void) waitpid(pid, NULL, 0);
        if (n != sizeof e)
                return -EIO;
        *ret_stage = stage_table[e.stage];
        return e.error;
}

int qemu_spawn(char *const *argv, char *const *environment, const int *fds, size_t n_fds,
        struct qemu_channels *ret_channels, pid_t *ret_pid, int *ret_pidfd, const char **ret_stage) {
        struct spawn s;
        pid_t pid = -1;
        int r, pidfd = -1;

        *ret_stage = "cannot prepare its process";
        r = n_fds > LAUNCH_FDS_MAX ? -E2BIG : spawn_open(&s);
        if (r == -E2BIG)
                return r;
        if (r >= 0 && (pid = fork()) < 0)
                r = -errno;
        if (pid == 0)
                child(argv, environment, &s, fds, n_fds);
        if (r >= 0)
                r = await_exec(&s, pid, ret_stage);
        if (r >= 0 && (pidfd = pidfd_open(pid, 0)) < 0) {
                r = -errno;
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
        }
        if (r < 0) {
                spawn_close(&s);
                return r;
        }
        *ret_channels = (struct qemu_channels){
                .qmp = take_fd(&s.ours[QEMU_FD_QMP - QEMU_FD_QMP]),
                .serial = take_fd(&s.ours[QEMU_FD_SERIAL - QEMU_FD_QMP]),
                .console = take_fd(&s.ours[QEMU_FD_CONSOLE - QEMU_FD_QMP]),
                .guest = take_fd(&s.ours[QEMU_FD_GUEST - QEMU_FD_QMP]),
                .output = take_fd(&s.output[0]),
                .console_end = take_fd(&s.theirs[QEMU_FD_CONSOLE - QEMU_FD_QMP]),
        };
        spawn_close(&s);
        *ret_pid = pid;
        *ret_pidfd = pidfd;
        return 0;
}

void qemu_block_on_console(int *console_end) {
        int flags = *console_end < 0 ? -1 : fcntl(*console_end, F_GETFL);

        if (flags >= 0)
                (void) fcntl(*console_end, F_SETFL, flags & ~O_NONBLOCK);
        *console_end = close_fd(*console_end);
}

int pidfd_kill(int pidfd, int signal) {
        return pidfd_send_signal(pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}
