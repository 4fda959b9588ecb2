/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/failure.h"

/* Finding the program, and saying what is wrong with it. */

/* The places where NAME may be, one at a time: itself when it has a slash, else in every directory of path ("" is the
 * current one). *path is where to go on, NULL at the end. Writes the place into buf; false when there is no further
 * one. Places that do not fit are passed over. */
bool program_next_place(const char *name, const char **path, char *buf, size_t size);

enum program_kind {
        PROGRAM_OTHER,
        PROGRAM_ELF,
        PROGRAM_SCRIPT,
};

#define PROGRAM_HEAD_MAX 4096U /* bytes that program_describe() wants to see, at most */
#define PROGRAM_INTERPRETER_MAX 256U

struct program {
        enum program_kind kind;
        uint16_t machine;                          /* of an ELF: e_machine */
        char interpreter[PROGRAM_INTERPRETER_MAX]; /* of an ELF or a script; "" when none is named in these bytes */
};

/* What a file is that begins with these bytes. */
void program_describe(const uint8_t *head, size_t len, struct program *ret);

/* Says why execve() of file failed with error, and returns error. Looks at the file. */
int program_explain(const char *file, int error, struct failure *failure);

/* Executes args[0], looked up in the PATH of environment. Returns only when that failed. */
int program_execute(char *const *args, char *const *environment, struct failure *failure);
