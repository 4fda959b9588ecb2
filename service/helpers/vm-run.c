/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-vm-run: runs a VM without the daemon, for the units that ExportUnit writes. It is QEMU's parent and that of the
 * programs beside it, turns SIGTERM into the guest's power button, and ends with QEMU. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers/frame-relay.h"
#include "shared/fd.h"
#include "shared/launch-wire.h"

#define COMPANIONS_MAX 4U
#define FD_PARKED 64
#define SEPARATOR "--"

static const char usage[] = "usage: mcp-vm-run [guarded|plain COMMAND... --]... QEMU...\n"
                            "Each command before the last one gets a socket as descriptor 3, whose other end QEMU has "
                            "as 4, 5 and so on; what\n"
                            "goes through that of a guarded one are frames, of which those to the host's own loopback "
                            "are dropped. QEMU's 3 is\n"
                            "its QMP monitor.\n";

struct run {
        int theirs[COMPANIONS_MAX + 1]; /* QEMU's ends, the monitor's first */
        size_t n;
        int qmp;
        pid_t qemu;
};

static int fail(const char *what) {
        (void) fprintf(stderr, "mcp-vm-run: %s: %s\n", what, strerror(errno));
        return -errno;
}

/* In a child: the descriptors from 3 on are these, without close-on-exec, and there is no other. */
static void become(char *const *argv, const int *fds, size_t n, bool with_rights) {
        int high[COMPANIONS_MAX + 1];
        sigset_t none;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (size_t i = 0; i < n; i++)
                high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_PARKED);
        for (size_t i = 0; i < n; i++)
                if (high[i] < 0 || dup2(high[i], 3 + (int) i) < 0)
                        _exit(127);
        (void) close_range(3 + (unsigned) n, ~0U, CLOSE_RANGE_CLOEXEC);
        if (!with_rights)
                (void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) execv(argv[0], argv);
        (void) fail(argv[0]);
        _exit(127);
}

/* The right to ports below 1024 is the network's alone. */
static pid_t start(char *const *argv, const int *fds, size_t n, bool with_rights) {
        pid_t pid = fork();

        if (pid == 0)
                become(argv, fds, n, with_rights);
        return pid;
}

static void on_relay_end(int side, void *userdata) {
        (void) sd_event_exit(userdata, 0);
}

/* In a process of its own: until one side has ended. */
static void relay(int guest, int passt) {
        FrameRelay *relay = NULL;
        sd_event *event = NULL;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sd_event_new(&event) < 0 || frame_relay_new(event, guest, passt, on_relay_end, event, &relay) < 0)
                _exit(EXIT_FAILURE);
        (void) sd_event_loop(event);
        _exit(EXIT_SUCCESS);
}

/* The frames between QEMU and passt go through the guard. Returns QEMU's end. */
static int guard(int companion) {
        int pair[2];
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return fail("no socket pair");
        pid = fork();
        if (pid < 0)
                return fail("no process");
        if (pid == 0) {
                (void) close_fd(pair[0]);
                relay(pair[1], companion);
        }
        (void) close_fd(pair[1]);
        (void) close_fd(companion);
        return pair[0];
}

/* What is before the separator, as a program beside QEMU. Returns how many words that were. */
static int start_companion(struct run *run, char **words, int n) {
        bool guarded = strcmp(words[0], "guarded") == 0;
        int pair[2], end = 1;

        while (end < n && strcmp(words[end], SEPARATOR) != 0)
                end++;
        if (end == n || end == 1 || run->n > COMPANIONS_MAX) {
                (void) fputs(usage, stderr);
                return -EINVAL;
        }
        words[end] = NULL;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return fail("no socket pair");
        if (start(words + 1, &pair[1], 1, guarded) < 0)
                return fail("no process");
        (void) close_fd(pair[1]);
        run->theirs[run->n] = guarded ? guard(pair[0]) : pair[0];
        return run->theirs[run->n++] < 0 ? -EIO : end + 1;
}

static int start_all(struct run *run, char **words, int n) {
        int pair[2], r = 0;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return fail("no socket pair");
        run->qmp = pair[0];
        run->theirs[run->n++] = pair[1];
        while (n > 0 && (strcmp(words[0], "guarded") == 0 || strcmp(words[0], "plain") == 0)) {
                r = start_companion(run, words, n);
                if (r < 0)
                        return r;
                words += r;
                n -= r;
        }
        if (n == 0) {
                (void) fputs(usage, stderr);
                return -EINVAL;
        }
        run->qemu = start(words, run->theirs, run->n, false);
        for (size_t i = 0; i < run->n; i++)
                (void) close_fd(run->theirs[i]);
        return run->qemu < 0 ? fail("no process") : 0;
}

static void tell_qemu(const struct run *run, const char *command) {
        char text[64];
        int n = snprintf(text, sizeof text, "{\"execute\":\"%s\"}\n", command);

        (void) !send(run->qmp, text, (size_t) n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Whether QEMU has ended, and with what; a program beside it that ends takes QEMU along. */
static bool reap(const struct run *run, int *ret_status) {
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid == run->qemu) {
                        *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
                        return true;
                }
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                        (void) fprintf(stderr, "mcp-vm-run: a program beside QEMU has ended\n");
                        (void) kill(run->qemu, SIGTERM);
                }
        }
        return false;
}

/* The first SIGTERM is the power button, the next one QEMU's end. */
static int watch(struct run *run, int signals) {
        struct pollfd p[2] = {{.fd = signals, .events = POLLIN}, {.fd = run->qmp, .events = POLLIN}};
        bool asked = false;
        int status;

        tell_qemu(run, "qmp_capabilities");
        while (!reap(run, &status)) {
                struct signalfd_siginfo si;
                char unread[4096];

                if (poll(p, 2, -1) < 0)
                        continue;
                if (p[1].revents && recv(run->qmp, unread, sizeof unread, MSG_DONTWAIT) == 0)
                        p[1].fd = -1;
                if (!p[0].revents || read(signals, &si, sizeof si) != sizeof si || si.ssi_signo == SIGCHLD)
                        continue;
                if (asked)
                        (void) kill(run->qemu, SIGTERM);
                else
                        tell_qemu(run, "system_powerdown");
                asked = true;
        }
        return status;
}

int main(int argc, char *argv[]) {
        struct run run = {.qmp = -1};
        sigset_t mask;
        int signals;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        signals = signalfd(-1, &mask, SFD_CLOEXEC);
        if (signals < 0)
                return EXIT_FAILURE;
        if (start_all(&run, argv + 1, argc - 1) < 0)
                return EXIT_FAILURE;
        return watch(&run, signals);
}
