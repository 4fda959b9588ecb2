/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Our ends of what QEMU got, non-blocking, close-on-exec; see launch-wire.h for its ends. */
struct qemu_channels {
        int qmp, serial, console, guest;
        int output;      /* its standard output and error */
        int console_end; /* QEMU's own end of the console, for qemu_block_on_console() */
};

/* Most of what environment may hold. */
#define QEMU_ENVIRONMENT_MAX 8U

/* Executes QEMU with exactly these descriptors, a fixed environment with that of `environment` (NULL-terminated)
 * behind it, and default signals. fds are borrowed and become
 * QEMU_FD_FIRST and up. On failure *ret_stage says what failed, a static text. Blocks until the execve is done. */
int qemu_spawn(char *const *argv, char *const *environment, const int *fds, size_t n_fds,
        struct qemu_channels *ret_channels, pid_t *ret_pid, int *ret_pidfd, const char **ret_stage);

/* To be called once QEMU answers, so that it has its channels open: from then on QEMU waits where the program's console
 * does not take what it writes. virtconsole has no other flow control, and drops what does not fit at once. Closes
 * *console_end, which shares QEMU's own file description and with it the flag. */
void qemu_block_on_console(int *console_end);

int pidfd_kill(int pidfd, int signal);
