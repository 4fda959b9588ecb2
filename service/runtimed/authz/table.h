/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "model/spec.h"

/*
 * Who may do what: one row a method. The gate (bus/gate.c) is driven by it, a test holds it against the vtables and the
 * bus policy. Actions are polkit's, without their prefix.
 */

#define ACTION_PREFIX "org.mcp.Runtime1."

typedef enum AuthRule {
        AUTH_OPEN,  /* never asked: public facts, the caller's own by construction */
        AUTH_OWNER, /* the owner is not asked; others need the action of others' objects */
        AUTH_ASK,   /* the owner (or anyone, where nothing is owned yet) needs `own`, others `other` */
} AuthRule;

typedef struct AuthRow {
        const char *interface; /* without "org.mcp.Runtime1." */
        const char *member;
        AuthRule rule;
        const char *own;   /* action for one's own or a new object; NULL with AUTH_OPEN, AUTH_OWNER */
        const char *other; /* action for another owner's object; NULL: it answers as if it did not exist */
} AuthRow;

/* The table; ends with a NULL interface. */
const AuthRow *auth_rows(void);
const AuthRow *auth_row_find(const char *interface, const char *member);

/* The ports that it publishes, as in the spec, separated by blanks: for who is asked. The caller frees (g_free()). */
char *auth_spec_ports(const VMSpec *spec);

/* Actions that a spec adds to its row's own, in the order they are asked; at most AUTH_EXTRA_MAX, static strings.
 * Returns their number. */
#define AUTH_EXTRA_MAX 6U
size_t auth_spec_actions(const VMSpec *spec, const char *ret[static AUTH_EXTRA_MAX]);
