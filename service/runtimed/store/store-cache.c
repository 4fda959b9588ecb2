/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns cache: what can be made again (initrds, facts), and the records of jobs, which may be lost. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/atomic-file.h"
#include "store/store-private.h"

int store_cache_create(Store *s, char **ret_name) {
        return store_temporary_create(s, s->cache, ret_name);
}

/* QEMU opens the initrd again through /proc/self/fd as another user, hence the mode; the directory is closed to others.
 */
int store_cache_commit(Store *s, const char *tmp, const char *key) {
        return store_temporary_commit(s, s->cache, tmp, key, 0444);
}

void store_cache_discard(Store *s, const char *tmp) {
        store_temporary_discard(s, s->cache, tmp);
}

int store_cache_open(Store *s, const char *key) {
        return store_file_open(s->cache, key, O_RDONLY);
}

struct cache_walk {
        StoreCacheFound each;
        void *userdata;
};

static void walk_cache(int dir, const char *name, void *userdata) {
        struct cache_walk *w = userdata;

        if (!store_is_temporary(name))
                w->each(name, w->userdata);
}

void store_cache_list(Store *s, StoreCacheFound each, void *userdata) {
        store_each_entry(s->cache, walk_cache, &(struct cache_walk){each, userdata});
}

int64_t store_cache_remove(Store *s, const char *name) {
        struct stat st;

        if (fstatat(s->cache, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || unlinkat(s->cache, name, 0) < 0)
                return -errno;
        return st.st_size;
}

json_t *store_fact_load(Store *s, const char *name) {
        char *text = NULL;
        json_t *fact = NULL;
        size_t len;

        if (store_text_load(s->cache, name, &text, &len) >= 0)
                fact = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        free(text);
        return fact;
}

int store_fact_save(Store *s, const char *name, json_t *fact) {
        return store_record_save(s->cache, name, fact);
}

/* ---- Jobs ---- */

struct job_walk {
        StoreJobFound each;
        void *userdata;
};

static void walk_job(int dir, const char *name, void *userdata) {
        struct job_walk *w = userdata;
        g_autofree char *stem = NULL;
        char *text = NULL;
        guint64 id;
        size_t len;

        if (store_is_temporary(name) || !g_str_has_suffix(name, ".json"))
                return;
        stem = g_strndup(name, strlen(name) - strlen(".json"));
        if (!g_ascii_string_to_unsigned(stem, 10, 1, UINT32_MAX, &id, NULL))
                return;
        if (store_text_load(dir, name, &text, &len) < 0)
                len = 0;
        w->each(text ?: "", len, (uint32_t) id, w->userdata);
        free(text);
}

void store_jobs_load(Store *s, StoreJobFound each, void *userdata) {
        struct job_walk walk = {each, userdata};

        store_each_entry(s->jobs, walk_job, &walk);
}

int store_job_save(Store *s, uint32_t id, json_t *record) {
        g_autofree char *name = g_strdup_printf("%" PRIu32 ".json", id);
        char *text;
        int r;

        if (!s) /* jobs on their own, without a store: nobody comes after */
                return 0;
        text = json_dumps(record, JSON_COMPACT);
        if (!text)
                return -ENOMEM;
        r = atomic_replace(s->jobs, name, text, strlen(text), 0600);
        free(text);
        return r;
}

void store_job_remove(Store *s, uint32_t id) {
        g_autofree char *name = g_strdup_printf("%" PRIu32 ".json", id);

        if (s)
                (void) unlinkat(s->jobs, name, 0);
}
