/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "guest/account.h"
#include "guest/boot-message.h"

/* The program of the image, as a child of guest init. */

struct child {
        pid_t pid;
        int result_fd; /* readable when it is known whether execve() succeeded; -1 when that is settled */
};

/* The terminal of the program, static: the virtio console, or the kernel's console where there is none. */
const char *child_terminal(const struct boot_message *message);

/* Starts it: own session, standard streams and controlling terminal, working directory (made when it is missing), user
 * and groups. environment ends with NULL. */
int child_start(const struct boot_message *message, const char *terminal, const struct account *account,
        char *const *environment, struct child *ret, struct failure *failure);

/* Reads result_fd: 1 the program runs, 0 not known yet, or why it does not. Closes it unless the answer is 0. */
int child_result(struct child *child, struct failure *failure);
