/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns networks/NAME.json. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "store/store-private.h"

struct network_walk {
        StoreNetworkFound each;
        void *userdata;
};

static void walk_network(int dir, const char *name, void *userdata) {
        struct network_walk *w = userdata;
        g_autofree char *stem = NULL;
        char *text = NULL;
        size_t len;

        if (store_is_temporary(name) || !g_str_has_suffix(name, ".json") || store_text_load(dir, name, &text, &len) < 0)
                return;
        stem = g_strndup(name, strlen(name) - strlen(".json"));
        w->each(stem, text, len, w->userdata);
        free(text);
}

void store_networks_load(Store *s, StoreNetworkFound each, void *userdata) {
        struct network_walk walk = {each, userdata};

        store_each_entry(s->networks, walk_network, &walk);
}

int store_network_save(Store *s, const char *name, json_t *record) {
        g_autofree char *file = g_strdup_printf("%s.json", name);

        return store_record_save(s->networks, file, record);
}

bool store_network_is_saved(Store *s, const char *name, json_t *record) {
        g_autofree char *file = g_strdup_printf("%s.json", name);

        return store_record_is_saved(s->networks, file, record);
}

int store_network_remove(Store *s, const char *name) {
        g_autofree char *file = g_strdup_printf("%s.json", name);

        if (unlinkat(s->networks, file, 0) < 0 && errno != ENOENT)
                return -errno;
        return fsync(s->networks) < 0 ? -errno : 0;
}
