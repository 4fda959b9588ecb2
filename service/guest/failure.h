/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What went wrong, in words for the person who started the VM. Fits a GUEST_ERROR frame. */
#define FAILURE_TEXT_MAX 1024

struct failure {
        char text[FAILURE_TEXT_MAX];
};

/* Sets the text and returns error (a negative errno), for `return failure_set(…)`. Bytes that are no printable UTF-8
 * become
 * '?', a text that is too long is cut. */
int failure_set(struct failure *failure, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same, followed by ": " and the words for error. */
int failure_set_errno(struct failure *failure, int error, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Replaces control characters and invalid UTF-8 in text. */
void failure_clean(char *text);
