/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* polkit's answers, asynchronously. The subject is always a bus name. No polkitd, an error, no answer within
 * AUTHORITY_USEC: refused. */

typedef struct Authority Authority;

Authority *authority_new(void);
Authority *authority_free(Authority *a);

/* An interactive question may wait for a person; systemd's own services use the same order of time. */
#define AUTHORITY_USEC (30ULL * 1000000ULL)
#define AUTHORITY_INTERACTIVE_USEC (300ULL * 1000000ULL)

typedef enum AuthorityAnswer {
        AUTHORITY_REFUSED,
        AUTHORITY_CHALLENGE, /* would ask a person, and the message does not allow it */
        AUTHORITY_GRANTED,
} AuthorityAnswer;

/* text says why when it is not granted (borrowed). Called once, never from within authority_check(). */
typedef void (*AuthorityDone)(AuthorityAnswer answer, const char *text, void *userdata);

typedef struct AuthorityQuestion AuthorityQuestion;

/* details: pairs of strings, NULL-terminated array "key", "value", ...; borrowed. */
AuthorityQuestion *authority_check(Authority *a, const char *sender, const char *action, const char *const *details,
        bool interactive, AuthorityDone done, void *userdata);

/* Forgets the question; polkit is told to drop its dialogue. NULL is fine. */
void authority_question_cancel(AuthorityQuestion *q);
