/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * Which units may have a process: those that ran when systemd listed all, that were started or have shown themselves
 * since, and whose stop is not over. Of any other systemd need not be asked before it is started: what runs there at
 * most is a start of somebody else's, which becomes ours.
 */
typedef struct KnownUnits KnownUnits;

KnownUnits *known_units_new(void);
KnownUnits *known_units_free(KnownUnits *k);

/* All units that there may be: name -> ActiveState. Before this, each may run. */
void known_units_listed(KnownUnits *k, GHashTable *units);

/* It is started, or a process of it was seen. */
void known_units_run(KnownUnits *k, const char *unit);

/* A number for what known_units_run() was last told of it, to be kept until a stop that is asked for now is over. */
unsigned known_units_last(const KnownUnits *k, const char *unit);
void known_units_stopped(KnownUnits *k, const char *unit, unsigned last);

bool known_units_may_run(const KnownUnits *k, const char *unit);
