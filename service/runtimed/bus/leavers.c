/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the match for connections that end, and who wants to know of which. */
#include "bus/leavers.h"

#include <string.h>

/* Of connections and of names; ours begin with a colon. */
#define LEAVERS_MATCH                                                                                                  \
        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"                                    \
        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''"

struct Leaver {
        Bus *bus;
        char *name;
        LeaverGone gone;
        void *userdata;
        bool told;
};

static void detach(Leaver *l) {
        GPtrArray *list = g_hash_table_lookup(l->bus->leavers, l->name);

        if (list && g_ptr_array_remove_fast(list, l) && list->len == 0)
                (void) g_hash_table_remove(l->bus->leavers, l->name);
}

Leaver *leaver_forget(Leaver *l) {
        if (!l)
                return NULL;
        if (!l->told)
                detach(l);
        g_free(l->name);
        g_free(l);
        return NULL;
}

Leaver *leaver_watch(Bus *b, sd_bus_message *m, LeaverGone gone, void *userdata) {
        const char *name = sd_bus_message_get_sender(m);
        GPtrArray *list;
        Leaver *l;

        if (!name)
                return NULL;
        list = g_hash_table_lookup(b->leavers, name);
        if (!list) {
                list = g_ptr_array_new();
                (void) g_hash_table_insert(b->leavers, g_strdup(name), list);
        }
        l = g_new(Leaver, 1);
        *l = (Leaver){b, g_strdup(name), gone, userdata, false};
        g_ptr_array_add(list, l);
        return l;
}

static void tell(Bus *b, const char *name) {
        GPtrArray *list;

        while ((list = g_hash_table_lookup(b->leavers, name))) {
                Leaver *l = list->pdata[list->len - 1];

                detach(l);
                l->told = true;
                l->gone(l->userdata);
        }
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *old, *new;
        Bus *b = userdata;

        if (sd_bus_message_read(m, "sss", &name, &old, &new) >= 0 && *name == ':' && !*new)
                tell(b, name);
        return 0;
}

int leavers_new(Bus *b) {
        b->leavers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
        return sd_bus_add_match_async(b->bus, &b->leavers_match, LEAVERS_MATCH, on_owner_changed, NULL, b);
}

void leavers_end(Bus *b) {
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        GHashTableIter iter;
        gpointer name;

        g_hash_table_iter_init(&iter, b->leavers);
        while (g_hash_table_iter_next(&iter, &name, NULL))
                g_ptr_array_add(names, g_strdup(name));
        for (guint i = 0; i < names->len; i++)
                tell(b, names->pdata[i]);
}

void leavers_free(Bus *b) {
        sd_bus_slot_unref(b->leavers_match);
        if (b->leavers)
                g_hash_table_unref(b->leavers);
}
