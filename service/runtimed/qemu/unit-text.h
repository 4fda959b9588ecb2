/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The systemd unit of a VM that runs without the daemon, from plain values. */

/* Appends one argument of ExecStart=, or one word of a list of paths, as systemd.syntax(7) and systemd.service(5) read
 * it back: quoted where that is needed, specifiers (%) and, with variables, variables ($) doubled. -EINVAL for what is
 * no UTF-8. */
int unit_quote(GString *text, const char *word, bool variables);

typedef struct UnitPlan {
        const char *name;         /* of the VM */
        const char *own_unit;     /* which runs it under the daemon, and must not beside this one */
        const char *runner;       /* absolute path of mcp-vm-run */
        const char *const *argv;  /* its arguments */
        const char *const *read;  /* files that it may read, */
        const char *const *write; /* and write; nothing else of the state directory is there */
        const char *state_directory;
        const char *restart;   /* of the spec */
        uint64_t stop_timeout; /* usec */
        bool kvm, user_network;
        bool display; /* which is a socket in UNIT_RUNTIME_DIRECTORY */
} UnitPlan;

/* The caller frees *ret. -EINVAL where a word cannot be said in a unit, and *ret_word is that word (borrowed). */
int unit_text(const UnitPlan *plan, char **ret, const char **ret_word);
