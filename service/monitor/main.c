/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-vm-monitor: the main process of mcp-vm@NAME.service. Gets its VM over the launch socket, runs QEMU as its child
 * and lives exactly as long as that. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "monitor/machine.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/wire.h"

#define RETRY_USEC (200U * 1000U)

static int fail(const char *what, const char *why) {
        (void) fprintf(stderr, "mcp-vm-monitor: %s: %s\n", what, why);
        return EXIT_FAILURE;
}

/* QEMU runs under our uid. It shall not be able to reach into us, for we hold the daemon's connection and the log. */
static void hide_from_own_user(void) {
#ifndef __SANITIZE_ADDRESS__ /* whose leak check reaches into us */
        (void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* Waits for the launch message: here blocking is right, there is nothing else to do, and the unit's start time limit or
 * SIGTERM end it. A daemon that goes away before it answered is asked again. Returns the connection. */
static int await_launch(json_t **ret, int *fds, size_t *ret_n_fds) {
        for (;;) {
                _cleanup_close_ int fd = wire_connect(NULL);
                int r = fd < 0 ? fd : wire_recv(fd, ret, fds, ret_n_fds);

                if (r > 0)
                        return take_fd(&fd);
                if (fd < 0 && r != -ECONNREFUSED && r != -EPIPE && r != -ECONNRESET)
                        return r;
                if (r == -EBADMSG)
                        return r;
                (void) usleep(RETRY_USEC);
        }
}

static int run(struct launch *launch, int fd) {
        sd_event *event = NULL;
        struct machine *machine = NULL;
        int r;

        r = sd_event_new(&event);
        if (r < 0) {
                (void) wire_send_new(fd, exit_not_started(launch, r, "it can wait for nothing"));
                launch_free(launch);
                (void) close_fd(fd);
        } else
                r = machine_new(event, launch, fd, &machine);
        if (r >= 0 && (r = sd_event_loop(event)) < 0)
                (void) fail("cannot go on with the VM", strerror(-r));
        machine_free(machine);
        sd_event_unref(event);
        return r;
}

int main(int argc, char *argv[]) {
        struct launch *launch = NULL;
        const char *problem;
        json_t *message;
        int fds[LAUNCH_FDS_MAX], fd, r;
        size_t n_fds;
        sigset_t mask;

        if (argc > 1)
                return fail("usage", "takes no argument; it is started as mcp-vm@NAME.service");
        hide_from_own_user();
        (void) signal(SIGPIPE, SIG_IGN);

        fd = await_launch(&message, fds, &n_fds);
        if (fd < 0)
                return fail("no launch message", strerror(-fd));
        if (strcmp(wire_type(message), "goodbye") == 0) {
                (void) fputs(
                        "mcp-vm-monitor: there is nothing to run; the journal of mcp-runtimed says why\n", stderr);
                json_decref(message);
                (void) close_fd(fd);
                return EXIT_SUCCESS;
        }
        problem = "it is no launch message";
        r = strcmp(wire_type(message), "launch") == 0 ? launch_parse(message, fds, n_fds, &launch, &problem) : -EBADMSG;
        json_decref(message);
        if (r < 0) {
                (void) wire_send_new(fd, exit_not_started(NULL, r, problem));
                (void) close_fd(fd);
                return EXIT_FAILURE;
        }

        CRASH_POINT(MONITOR_TOLD);
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);

        r = run(launch, fd);
        return r < 0 ? EXIT_FAILURE : r;
}
