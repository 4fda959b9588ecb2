/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* passt(1) as a process of ours. The caller is a subreaper with SIGCHLD blocked. Plain blocking calls: passt is up
 * within milliseconds, and nothing else is to do before. */

#define PASST_MESSAGE_MAX 512U

typedef struct PasstFailure {
        const char *error; /* PortInUse, ToolMissing or Failed */
        char message[PASST_MESSAGE_MAX];
} PasstFailure;

/* Gives each host port 0 in passt's forwards ("127.0.0.1/0:80") a free port. Changes argv's strings, which are from
 * malloc(). Returns the number of them; picked (a JSON array) gets the ports in argv's order. Negative errno. */
int passt_pick_ports(char **argv, json_t *picked);

/* Runs passt until its ports are bound: it has become a daemon, a child of ours. sock becomes its PASST_FD and is
 * closed here. 0, or -ECANCELED with *ret_failure. */
int passt_start(char *const *argv, int sock, PasstFailure *ret_failure);

/* Waits until no child is left, at most that long. 0, or -ETIMEDOUT. */
int passt_await_end(uint64_t usec);
