/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns clean-ups: what they found unused, and their way through it. */
#include "core/image-clean.h"
#include "core/boot-plan.h"

#include <string.h>

#include "core/image.h"
#include "core/nanos.h"
#include "core/vm.h"
#include "shared/log.h"
#include "store/kernel.h"

#define INITRD_PREFIX "initrd-"
#define FACT_SUFFIX ".json"

struct Clean {
        Runtime *runtime;
        GPtrArray *images;  /* ids */
        GPtrArray *initrds; /* names in the cache */
        uint64_t bytes;
        uint32_t count;
        sd_event_source *turn;
        CleanDone done;
        void *userdata;
};

static void clean_free(void *p) {
        Clean *c = p;

        sd_event_source_disable_unref(c->turn);
        g_ptr_array_unref(c->images);
        g_ptr_array_unref(c->initrds);
        g_free(c);
}

void cleans_free(Runtime *rt) {
        g_clear_pointer(&rt->cleans, g_ptr_array_unref);
}

static void clean_image(Clean *c, const char *id) {
        Image *image = g_hash_table_lookup(c->runtime->images, id);
        g_autoptr(Problem) problem = NULL;
        uint64_t size = image ? image->size + image->archive_size + nanos_bytes(image) : 0;

        if (!image || image_remove(image, &problem) < 0)
                return;
        log_info("image %s is removed: nothing uses it", id);
        c->bytes += size;
        c->count++;
}

/* Files of initrds are held open by who boots with them, so one that goes takes nothing from anybody. */
static void clean_initrd(Clean *c, const char *name) {
        int64_t size = store_cache_remove(c->runtime->store, name);

        if (size < 0 || g_str_has_suffix(name, FACT_SUFFIX))
                return;
        log_info("%s is removed: no VM would boot with it", name);
        c->bytes += (uint64_t) size;
        c->count++;
}

static char *pop(GPtrArray *list) {
        return list->len > 0 ? g_ptr_array_steal_index_fast(list, list->len - 1) : NULL;
}

static int on_turn(sd_event_source *source, void *userdata) {
        Clean *c = userdata;
        g_autofree char *image = pop(c->images);
        g_autofree char *initrd = image ? NULL : pop(c->initrds);

        if (image)
                clean_image(c, image);
        else if (initrd)
                clean_initrd(c, initrd);
        else {
                c->done(c->bytes, c->count, c->userdata);
                (void) g_ptr_array_remove_fast(c->runtime->cleans, c);
        }
        return 0;
}

static void find_images(Clean *c, uint32_t owner, bool all, bool only_unnamed) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, c->runtime->images);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                Image *i = value;
                g_autoptr(GPtrArray) users = image_users(i);

                if ((all || i->owner == owner) && users->len == 0 && !(only_unnamed && i->references->len > 0))
                        g_ptr_array_add(c->images, g_strdup(i->id));
        }
}

/* ---- Initrds ---- */

static void keep_kernel(Runtime *rt, GHashTable *keep, const char *architecture, const char *version, unsigned needs) {
        g_autoptr(Problem) problem = NULL;
        g_autoptr(Kernel) kernel = NULL;

        if (kernel_find(rt->config, architecture, version, needs, &kernel, &problem) >= 0)
                (void) g_hash_table_add(keep, g_strdup(kernel->cache_key));
}

/* Those of the kernels that VMs name, of the default one, and those that are being made. */
static GHashTable *initrds_in_use(Runtime *rt) {
        GHashTable *keep = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autoptr(GHashTable) wishes =
                g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL); /* a spec of each */
        GHashTableIter iter;
        gpointer key, value;

        keep_kernel(rt, keep, config_host_architecture(), "", 0);
        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                VMSpec *spec = ((VM *) value)->record ? ((VM *) value)->record->spec : NULL;

                if (spec)
                        (void) g_hash_table_insert(wishes,
                                g_strdup_printf("%s %s %u", spec->architecture, spec->kernel, boot_kernel_needs(spec)),
                                spec);
        }
        g_hash_table_iter_init(&iter, wishes);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const VMSpec *spec = value;

                keep_kernel(rt, keep, spec->architecture, spec->kernel, boot_kernel_needs(spec));
        }
        g_hash_table_iter_init(&iter, rt->initrds);
        while (g_hash_table_iter_next(&iter, &key, NULL))
                (void) g_hash_table_add(keep, g_strdup(key));
        return keep;
}

typedef struct Search {
        GHashTable *keep;
        GPtrArray *found;
} Search;

static void on_cache_entry(const char *name, void *userdata) {
        Search *s = userdata;
        g_autofree char *key = g_strdup(name);

        if (!g_str_has_prefix(name, INITRD_PREFIX))
                return;
        if (g_str_has_suffix(key, FACT_SUFFIX))
                key[strlen(key) - strlen(FACT_SUFFIX)] = 0;
        if (!g_hash_table_contains(s->keep, key))
                g_ptr_array_add(s->found, g_strdup(name));
}

void clean_images(Runtime *rt, uint32_t owner, bool all, bool only_unnamed, CleanDone done, void *userdata) {
        g_autoptr(GHashTable) keep = initrds_in_use(rt);
        Clean *c = g_new0(Clean, 1);

        *c = (Clean){.runtime = rt, .done = done, .userdata = userdata};
        c->images = g_ptr_array_new_with_free_func(g_free);
        c->initrds = g_ptr_array_new_with_free_func(g_free);
        find_images(c, owner, all, only_unnamed);
        store_cache_list(rt->store, on_cache_entry, &(Search){keep, c->initrds});
        if (!rt->cleans)
                rt->cleans = g_ptr_array_new_with_free_func(clean_free);
        if (sd_event_add_defer(rt->event, &c->turn, on_turn, c) < 0 ||
                sd_event_source_set_enabled(c->turn, SD_EVENT_ON) < 0) {
                done(0, 0, userdata);
                clean_free(c);
                return;
        }
        g_ptr_array_add(rt->cleans, c);
}
