/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "unit.h"

#include <sys/types.h>

#include "netd-link.h"

/* One mcp-netd, with the kernel, in namespaces of the test's own. */
struct netd_case {
        const char *program;
        char directory[32], config[64], path[64];
        pid_t netd;
        int sock;
};
extern struct netd_case t;

/* For main(): enters the namespaces, or skips. Returns what run does. */
int netd_case_run(const char *program, int (*run)(void));

/* Starts it and says hello; ends it, with the status or signal that is wanted. */
void start(void);
void stop(int signal, int wanted);

/* Each returns the reply's error. */
int call(enum netd_verb verb, struct netd_reply *reply);
int call_fds(struct netd_request *q, struct netd_reply *reply, int *fds);
int bridge_up(struct netd_reply *reply);
int port(enum netd_verb verb, unsigned number, unsigned queues, struct netd_reply *reply, int *fds);

void wait_event(uint32_t verb, struct netd_reply *ret);
