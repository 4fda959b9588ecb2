/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Runs a program that may hang, talk without end or leave children behind. */
struct run_result {
        int status;         /* as waitpid(2) gives it */
        bool timed_out;     /* it had its time, and was killed */
        GString *out, *err; /* the last RUN_OUTPUT_MAX bytes of each, at least */
};

#define RUN_OUTPUT_MAX (64U << 10)

/* argv[0] is its path. Standard input is empty; its process group ends with it. 0 when it ran, whatever became of it;
 * else a negative errno (-ENOENT, -EACCES: it could not be executed). */
int run_program(char *const *argv, char *const *envp, const char *cwd, uint64_t timeout_usec, struct run_result *ret);
void run_result_clear(struct run_result *r);
