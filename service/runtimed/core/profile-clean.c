/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The clean-up of a store: a worker reads every manifest that stays and tells the objects it names; what none names
 * goes, a few objects each turn of the event loop, and manifests that newer ones have taken the place of go first. */
#include <errno.h>
#include <string.h>

#include "core/profile-private.h"
#include "shared/fd.h"

#define REMOVALS_A_TURN 64U
#define OBJECTS_MAX (PROFILE_REFS_MAX * 256U) /* named by all manifests together */

struct ProfilesClean {
        struct Profiles *profiles;
        Waiter *scan;
        Work *work;
        GPtrArray *files;  /* manifests that stay */
        guint next, heard; /* given to the worker; of those, told of */
        GHashTable *named; /* hashes */
        GPtrArray *doomed; /* hashes that nobody names */
        sd_event_source *turn;
        uint64_t bytes;
        uint32_t count;
        ProfilesCleaned done;
        void *userdata;
};

void profiles_clean_free(struct ProfilesClean *c) {
        if (!c)
                return;
        (void) waiter_cancel(c->scan);
        (void) work_cancel(c->work);
        sd_event_source_disable_unref(c->turn);
        g_ptr_array_unref(c->files);
        g_ptr_array_unref(c->doomed);
        g_hash_table_unref(c->named);
        g_free(c);
}

static void clean_end(struct ProfilesClean *c, const Problem *problem) {
        ProfilesCleaned done = c->done;
        void *userdata = c->userdata;
        uint64_t bytes = c->bytes;
        uint32_t count = c->count;

        c->profiles->clean = NULL;
        profiles_clean_free(c);
        done(bytes, count, problem, userdata);
}

static void clean_fail(struct ProfilesClean *c, const char *error, const char *text) {
        g_autoptr(Problem) problem = problem_new(error, NULL, "%s", text);

        clean_end(c, problem);
}

/* ---- What goes ---- */

static bool is_superseded(struct Profiles *ps, const char *file) {
        const ProfileRef *ref = g_hash_table_lookup(ps->refs, file);

        return ref && !ref->error && ps->all[ref->profile].ref != ref;
}

static void remove_superseded(struct ProfilesClean *c) {
        struct Profiles *ps = c->profiles;
        GHashTableIter iter;
        gpointer file, ref;

        g_hash_table_iter_init(&iter, ps->refs);
        while (g_hash_table_iter_next(&iter, &file, &ref))
                if (is_superseded(ps, file) && profile_store_remove_ref(ps->store, file) >= 0) {
                        g_hash_table_iter_remove(&iter);
                        c->count++;
                }
        profiles_remember(ps);
}

static void collect(const char *hash, void *userdata) {
        struct ProfilesClean *c = userdata;

        if (!g_hash_table_contains(c->named, hash))
                g_ptr_array_add(c->doomed, g_strdup(hash));
}

static int on_turn(sd_event_source *source, void *userdata) {
        struct ProfilesClean *c = userdata;

        for (guint n = 0; n < REMOVALS_A_TURN && c->doomed->len > 0; n++) {
                const char *hash = c->doomed->pdata[c->doomed->len - 1];
                uint64_t bytes;

                if (profile_store_remove_object(c->profiles->store, hash, &bytes) >= 0) {
                        c->bytes += bytes;
                        c->count++;
                }
                g_ptr_array_set_size(c->doomed, (gint) c->doomed->len - 1);
        }
        if (c->doomed->len == 0)
                clean_end(c, NULL);
        else
                (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

/* ---- What stays ---- */

static void on_named(json_t *result, const Problem *problem, void *userdata) {
        struct ProfilesClean *c = userdata;
        int r;

        c->work = NULL;
        if (problem) {
                clean_end(c, problem);
                return;
        }
        if (c->heard != c->files->len) {
                clean_fail(c, "BuildFailed", "the worker has not told of every manifest");
                return;
        }
        remove_superseded(c);
        profile_store_objects(c->profiles->store, collect, c);
        r = sd_event_add_defer(c->profiles->runtime->event, &c->turn, on_turn, c);
        if (r < 0)
                clean_fail(c, "BuildFailed", g_strerror(-r));
}

static void give_next(struct ProfilesClean *c) {
        const char *file = c->next < c->files->len ? c->files->pdata[c->next] : NULL;
        g_autofree char *id = NULL;
        int fd = file ? profile_store_open_ref(c->profiles->store, file, &id) : -1;

        c->next += file != NULL;
        (void) work_answer(c->work,
                fd < 0 ? json_pack("{s:s}", "type", "next")
                       : json_pack("{s:s, s:s, s:[s]}", "type", "next", "file", file, "fds", "manifest"),
                &fd, fd < 0 ? 0 : 1);
}

static void take_names(struct ProfilesClean *c, json_t *message) {
        json_t *value;
        size_t i;

        json_array_foreach(json_object_get(message, "list"), i, value) {
                const char *hash = json_string_value(value);

                if (hash && profile_hash_is_valid(hash) && g_hash_table_size(c->named) < OBJECTS_MAX)
                        (void) g_hash_table_add(c->named, g_strdup(hash));
        }
}

/* A manifest that cannot be read names objects that nobody knows: then none goes. */
static void take_manifest(struct ProfilesClean *c, json_t *message) {
        const char *file = c->next > 0 ? c->files->pdata[c->next - 1] : "";
        g_autofree char *text = NULL;

        c->heard++;
        if (!json_object_get(message, "error") && g_hash_table_size(c->named) < OBJECTS_MAX)
                return;
        text = g_strdup_printf(
                "manifest %s cannot be read, and which objects it needs is not known; remove it first", file);
        clean_fail(c, "ProfileDamaged", text);
}

static void on_message(json_t *message, void *userdata) {
        const char *type = json_string_value(json_object_get(message, "type"));

        if (strcmp(type, "next") == 0)
                give_next(userdata);
        else if (strcmp(type, "names") == 0)
                take_names(userdata, message);
        else if (strcmp(type, "manifest") == 0)
                take_manifest(userdata, message);
}

static void on_scanned(const Problem *problem, void *userdata) {
        struct ProfilesClean *c = userdata;
        struct Profiles *ps = c->profiles;
        g_autoptr(GPtrArray) files = NULL;
        int r;

        c->scan = NULL;
        if (problem) {
                clean_end(c, problem);
                return;
        }
        files = profile_store_refs(ps->store);
        for (guint i = 0; i < files->len; i++)
                if (!is_superseded(ps, files->pdata[i]))
                        g_ptr_array_add(c->files, g_strdup(files->pdata[i]));
        if (files->len >= PROFILE_REFS_MAX) {
                clean_fail(c, "LimitExceeded", "the store has more manifests than are read");
                return;
        }
        r = work_start(ps->runtime, NULL, 0, 0, json_pack("{s:s, s:b}", "op", "profile-scan", "names", 1), NULL, NULL,
                0, on_named, c, &c->work);
        if (r < 0)
                clean_fail(c, "BuildFailed", g_strerror(-r));
        else
                work_on_message(c->work, on_message);
}

static bool is_busy(const struct Profiles *ps) {
        for (ProfileId id = 0; id < PROFILE_MAX; id++)
                if (ps->all[id].assembling)
                        return true;
        return ps->busy->len > 0 || ps->clean;
}

int profiles_clean(Runtime *rt, ProfilesCleaned done, void *userdata, Problem **ret_problem) {
        struct Profiles *ps = rt->profiles;
        struct ProfilesClean *c;
        int r;

        r = profiles_need_store(ps, ret_problem);
        if (r < 0)
                return r;
        if (is_busy(ps))
                return problem_set(ret_problem, "Busy", NULL,
                        "profiles are imported, assembled or cleaned up at the moment; wait for that, see ListJobs");
        c = ps->clean = g_new0(struct ProfilesClean, 1);
        *c = (struct ProfilesClean){.profiles = ps, .done = done, .userdata = userdata};
        c->files = g_ptr_array_new_with_free_func(g_free);
        c->doomed = g_ptr_array_new_with_free_func(g_free);
        c->named = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        profiles_scan(ps, on_scanned, c, &c->scan);
        return 0;
}
