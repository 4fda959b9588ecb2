/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Errors of the interface as values: what a verb hands up to the bus, which adds ERROR_PREFIX. A function that takes
 * `Problem **ret_problem` returns 0, or a negative errno with *ret_problem set to the caller's.
 */

#define ERROR_PREFIX "org.mcp.Runtime1.Error."

typedef struct Problem {
        const char *error; /* a name of the interface without its prefix; static string */
        char *key;         /* the spec key it is about, or NULL */
        char *text;        /* a sentence: the key, the value, what would be accepted */
} Problem;

Problem *problem_new(const char *error, const char *key, const char *format, ...) G_GNUC_PRINTF(3, 4);
void problem_free(Problem *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Problem, problem_free)

/* Sets *ret (which may be NULL) and returns the errno that goes with the error's name: -EINVAL for InvalidSpec and
 * InvalidName, -ENOENT for NoSuch*, -EEXIST for *Exists, -EBUSY ..., -EIO where nothing fits. */
int problem_set(Problem **ret, const char *error, const char *key, const char *format, ...) G_GNUC_PRINTF(4, 5);

/* Foreign text as a message may show it: in single quotes, valid UTF-8, unprintable characters as \xHH, cut after 64
 * characters. Caller frees (g_free). */
char *problem_quote(const char *text);
