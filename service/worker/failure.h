/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Why a job failed, in the words the caller reads. The first reason told stays. */

struct failure {
        const char *name; /* an error of the interface without its prefix; NULL: nothing was told yet */
        char *message;
};

#define FAILURE_UNSUPPORTED "UnsupportedImage"
#define FAILURE_DIGEST "DigestMismatch"
#define FAILURE_LIMIT "LimitExceeded"
#define FAILURE_SPACE "NoSpace"
#define FAILURE_SPEC "InvalidSpec"
#define FAILURE_NOT_SUPPORTED "NotSupported"
#define FAILURE_REGISTRY "RegistryFailed"
#define FAILURE_TOOL "ToolMissing"
#define FAILURE_BUILD "BuildFailed"
#define FAILURE_PROFILE "ProfileDamaged"
#define FAILURE_OTHER "Failed"

/* Longest message kept; the rest is cut. */
#define FAILURE_MESSAGE_MAX 2048U

/* Notes name and text unless a reason is there already, and returns r, so that a function can end with it. Text is made
 * printable UTF-8: entry names in it come from strangers. */
int failf(struct failure *f, int r, const char *name, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Whether an errno is for what the host lacks or cannot do now, and not for what was asked of it. */
bool failure_is_hosts(int r);

/* Gives a failure that has only an errno its name: no room is NoSpace, everything else Failed. what says what was done.
 */
int fail_errno(struct failure *f, int r, const char *what);

void failure_clear(struct failure *f);
