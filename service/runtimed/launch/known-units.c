/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the list of units that may have a process. */
#include "launch/known-units.h"

#include <string.h>

#define RUNNING_MAX 8192U /* beyond that systemd is asked, until it lists all units again */

struct KnownUnits {
        GHashTable *running; /* unit -> number of its last sign of life */
        unsigned last;
        bool complete;
};

KnownUnits *known_units_new(void) {
        KnownUnits *k = g_new0(KnownUnits, 1);

        k->running = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        return k;
}

KnownUnits *known_units_free(KnownUnits *k) {
        if (!k)
                return NULL;
        g_hash_table_unref(k->running);
        g_free(k);
        return NULL;
}

void known_units_run(KnownUnits *k, const char *unit) {
        if (g_hash_table_size(k->running) >= RUNNING_MAX) {
                k->complete = false;
                g_hash_table_remove_all(k->running);
        }
        k->last = k->last == G_MAXUINT ? 1 : k->last + 1;
        (void) g_hash_table_replace(k->running, g_strdup(unit), GUINT_TO_POINTER(k->last));
}

void known_units_listed(KnownUnits *k, GHashTable *units) {
        GHashTableIter iter;
        gpointer unit, state;

        k->complete = true;
        g_hash_table_iter_init(&iter, units);
        while (g_hash_table_iter_next(&iter, &unit, &state))
                if (strcmp(state, "inactive") != 0 && strcmp(state, "failed") != 0 &&
                        !g_hash_table_contains(k->running, unit))
                        known_units_run(k, unit);
}

unsigned known_units_last(const KnownUnits *k, const char *unit) {
        return GPOINTER_TO_UINT(g_hash_table_lookup(k->running, unit));
}

void known_units_stopped(KnownUnits *k, const char *unit, unsigned last) {
        if (known_units_last(k, unit) == last)
                (void) g_hash_table_remove(k->running, unit);
}

bool known_units_may_run(const KnownUnits *k, const char *unit) {
        return !k->complete || g_hash_table_contains(k->running, unit);
}
