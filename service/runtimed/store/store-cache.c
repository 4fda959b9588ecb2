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

#define JOB_RECORD ".json"
#define JOB_LAST ".last"

static char *job_file(uint32_t id, const char *suffix) {
        return g_strdup_printf("%" PRIu32 "%s", id, suffix);
}

static bool is_job_file(const char *name, const char *suffix, uint32_t *ret_id) {
        g_autofree char *stem = NULL;
        guint64 id;

        if (store_is_temporary(name) || !g_str_has_suffix(name, suffix))
                return false;
        stem = g_strndup(name, strlen(name) - strlen(suffix));
        if (!g_ascii_string_to_unsigned(stem, 10, 1, UINT32_MAX, &id, NULL))
                return false;
        *ret_id = (uint32_t) id;
        return true;
}

/* The file of a job that is over keeps its number taken; one is enough. Where the job had none, for want of room, the former one gets
 * the name: that needs no room. */
static void keep_last(Store *s, uint32_t id, const char *name) {
        g_autofree char *last = job_file(id, JOB_LAST), *before = job_file(s->last_job, JOB_LAST);

        if (id > s->last_job && renameat(s->jobs, name, s->jobs, last) >= 0) {
                (void) unlinkat(s->jobs, before, 0);
                s->last_job = id;
                return;
        }
        if (id > s->last_job && renameat(s->jobs, before, s->jobs, last) >= 0)
                s->last_job = id;
        (void) unlinkat(s->jobs, name, 0);
}

struct job_walk {
        Store *store;
        StoreJobFound each;
        void *userdata;
        uint32_t highest;
};

static void walk_last(int dir, const char *name, void *userdata) {
        struct job_walk *w = userdata;
        uint32_t id;

        if (is_job_file(name, JOB_LAST, &id) && id != w->store->last_job)
                keep_last(w->store, id, name);
}

static void walk_job(int dir, const char *name, void *userdata) {
        struct job_walk *w = userdata;
        char *text = NULL;
        uint32_t id;
        size_t len;

        if (!is_job_file(name, JOB_RECORD, &id))
                return;
        w->highest = MAX(w->highest, id);
        if (store_text_load(dir, name, &text, &len) < 0)
                len = 0;
        w->each(text ?: "", len, id, w->userdata);
        free(text);
}

uint32_t store_jobs_load(Store *s, StoreJobFound each, void *userdata) {
        struct job_walk walk = {s, each, userdata, 0};

        store_each_entry(s->jobs, walk_last, &walk);
        store_each_entry(s->jobs, walk_job, &walk);
        return MAX(walk.highest, s->last_job);
}

int store_job_save(Store *s, uint32_t id, json_t *record) {
        g_autofree char *name = job_file(id, JOB_RECORD);
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
        g_autofree char *name = job_file(id, JOB_RECORD);

        if (s)
                keep_last(s, id, name);
}
