/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the reading of manifests and the asking for QEMU's versions: workers do both. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/profile-private.h"
#include "shared/fd.h"
#include "shared/log.h"
#include "store/stamp.h"

#define VERSION_INSTANCE "qemu-version" /* of mcp-image@ */

/* ---- Manifests ---- */

struct ProfileScan {
        struct Profiles *profiles;
        Work *work;
        GPtrArray *files; /* to be read, names */
        guint next;
        char *file, *id; /* given to the worker last */
        GPtrArray *waiters;
};

void profile_scan_free(struct ProfileScan *s) {
        if (!s)
                return;
        (void) work_cancel(s->work);
        g_ptr_array_unref(s->files);
        g_ptr_array_unref(s->waiters);
        g_free(s->file);
        g_free(s->id);
        g_free(s);
}

static bool is_of_a_profile(const char *file) {
        for (ProfileId id = 0; id < PROFILE_MAX; id++)
                if (profile_ref_is_of(file, profile_to_string(id)))
                        return true;
        return false;
}

static void add_broken(struct Profiles *ps, const char *file, int r) {
        json_t *told = json_pack("{s:s, s:s}", "error", "ProfileDamaged", "message",
                r == -ELOOP    ? "manifest: it is a symbolic link"
                : r == -EINVAL ? "manifest: it is not a regular file"
                               : g_strerror(-r));
        ProfileRef *ref;

        if (profile_ref_parse(file, "", told, &ref) >= 0)
                profiles_add_ref(ps, ref);
        json_decref(told);
}

/* Whether the file must be read: it is new, or not what was read. */
static bool is_new(struct Profiles *ps, const char *file) {
        const ProfileRef *known = g_hash_table_lookup(ps->refs, file);
        g_autofree char *id = NULL;
        _cleanup_close_ int fd = profile_store_open_ref(ps->store, file, &id);

        if (fd < 0) {
                if (fd != -ENOENT && !(known && known->error && !*known->id)) /* an error of its bytes is over */
                        add_broken(ps, file, fd);
                return false;
        }
        return !known || strcmp(known->id, id) != 0;
}

/* Forgets the manifests whose files have gone. */
static void forget_gone(struct Profiles *ps, GHashTable *names) {
        GHashTableIter iter;
        gpointer file, ref;

        for (ProfileId id = 0; id < PROFILE_MAX; id++)
                if (ps->all[id].ref && !g_hash_table_contains(names, ps->all[id].ref->file)) {
                        profile_changing_all(&ps->all[id]);
                        ps->all[id].ref = NULL;
                }
        g_hash_table_iter_init(&iter, ps->refs);
        while (g_hash_table_iter_next(&iter, &file, &ref))
                if (!g_hash_table_contains(names, file))
                        g_hash_table_iter_remove(&iter);
}

/* Compares what is there with what is known. */
static GPtrArray *find_new(struct Profiles *ps) {
        g_autoptr(GPtrArray) files = profile_store_refs(ps->store);
        g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
        GPtrArray *fresh = g_ptr_array_new_with_free_func(g_free);

        for (guint i = 0; i < files->len; i++) {
                if (!is_of_a_profile(files->pdata[i]))
                        continue;
                (void) g_hash_table_add(names, files->pdata[i]);
                if (is_new(ps, files->pdata[i]))
                        g_ptr_array_add(fresh, g_strdup(files->pdata[i]));
        }
        forget_gone(ps, names);
        return fresh;
}

static void scan_end(struct ProfileScan *s, const Problem *problem) {
        struct Profiles *ps = s->profiles;
        g_autoptr(GPtrArray) waiters = g_ptr_array_ref(s->waiters);

        ps->scan = NULL;
        profile_scan_free(s);
        profiles_choose(ps);
        profiles_remember(ps);
        waiters_fire(waiters, problem);
}

static void on_scan_done(json_t *result, const Problem *problem, void *userdata) {
        struct ProfileScan *s = userdata;

        s->work = NULL;
        if (problem)
                log_warning("the manifests of profiles could not be read: %s", problem->text);
        scan_end(s, problem);
}

/* The next file that can be opened; -1 at the end. */
static int open_next(struct ProfileScan *s) {
        while (s->next < s->files->len) {
                const char *file = s->files->pdata[s->next++];
                int fd;

                g_clear_pointer(&s->id, g_free);
                fd = profile_store_open_ref(s->profiles->store, file, &s->id);
                if (fd < 0)
                        continue;
                g_free(s->file);
                s->file = g_strdup(file);
                return fd;
        }
        return -1;
}

static void take_manifest(struct ProfileScan *s, json_t *message) {
        ProfileRef *ref;

        if (!s->file || g_strcmp0(json_string_value(json_object_get(message, "file")), s->file) != 0)
                return;
        if (profile_ref_parse(s->file, s->id, message, &ref) >= 0)
                profiles_add_ref(s->profiles, ref);
        g_clear_pointer(&s->file, g_free);
}

static void on_scan_message(json_t *message, void *userdata) {
        struct ProfileScan *s = userdata;
        const char *type = json_string_value(json_object_get(message, "type"));
        int fd;

        if (strcmp(type, "manifest") == 0)
                take_manifest(s, message);
        if (strcmp(type, "next") != 0)
                return;
        fd = open_next(s);
        (void) work_answer(s->work,
                fd < 0 ? json_pack("{s:s}", "type", "next")
                       : json_pack("{s:s, s:s, s:[s]}", "type", "next", "file", s->file, "fds", "manifest"),
                &fd, fd < 0 ? 0 : 1);
}

void profiles_scan(struct Profiles *ps, WaiterDone done, void *userdata, Waiter **ret) {
        struct ProfileScan *s = ps->scan;
        g_autoptr(GPtrArray) files = NULL;
        g_autoptr(Problem) problem = NULL;
        int r;

        *ret = NULL;
        if (!s && ps->store) {
                files = find_new(ps);
                profiles_choose(ps);
        }
        if (!s && (!files || files->len == 0)) {
                done(NULL, userdata);
                return;
        }
        if (!s) {
                s = g_new0(struct ProfileScan, 1);
                *s = (struct ProfileScan){.profiles = ps, .files = g_steal_pointer(&files), .waiters = waiters_new()};
                r = work_start(ps->runtime, NULL, 0, 0, json_pack("{s:s}", "op", "profile-scan"), NULL, NULL, 0,
                        on_scan_done, s, &s->work);
                if (r < 0) {
                        problem = problem_new("BuildFailed", NULL,
                                "the worker that reads manifests could not be started: %s", g_strerror(-r));
                        profile_scan_free(s);
                        done(problem, userdata);
                        return;
                }
                work_on_message(s->work, on_scan_message);
                ps->scan = s;
        }
        *ret = waiter_add(s->waiters, done, userdata);
}

/* ---- Versions ---- */

/* One question: the host's programs, or the assembly of one profile. */
struct QEMUVersions {
        struct Profiles *profiles;
        Profile *bundle; /* NULL: the host's */
        char digest[PROFILE_HASH_LENGTH + 1];
        Work *work;
};

void qemu_versions_free(struct QEMUVersions *v) {
        if (!v)
                return;
        (void) work_cancel(v->work);
        g_free(v);
}

static const char *version_in(json_t *result, const char *program) {
        const char *s = json_string_value(json_object_get(json_object_get(result, "versions"), program));

        return s ?: "";
}

#define VERSIONS_FACT "qemu.json"

/* Which version each file is, for daemons to come. */
static void remember_host_versions(struct Profiles *ps) {
        json_t *fact = json_object();
        GHashTableIter iter;
        gpointer program, version;

        g_hash_table_iter_init(&iter, ps->host_versions);
        while (g_hash_table_iter_next(&iter, &program, &version)) {
                _cleanup_close_ int fd = open(program, O_PATH | O_CLOEXEC);
                Stamp stamp;

                if (*(char *) version && fd >= 0 && stamp_of(fd, &stamp) >= 0)
                        (void) json_object_set_new(fact, program,
                                json_pack("{s:o, s:s}", "stamp", stamp_to_json(&stamp), "version", version));
        }
        if (store_fact_save(ps->runtime->store, VERSIONS_FACT, fact) < 0)
                log_warning("QEMU's version could not be stored; it will be asked for again");
        json_decref(fact);
}

void profiles_recall_versions(struct Profiles *ps) {
        json_t *fact = store_fact_load(ps->runtime->store, VERSIONS_FACT), *entry;
        const char *program;

        json_object_foreach(fact, program, entry) {
                const char *version = json_string_value(json_object_get(entry, "version"));
                Stamp stamp = stamp_from_json(json_object_get(entry, "stamp"));
                _cleanup_close_ int fd = open(program, O_PATH | O_CLOEXEC);

                if (version && fd >= 0 && stamp_is_of(&stamp, fd))
                        (void) g_hash_table_insert(ps->host_versions, g_strdup(program), plain_text(version, 64));
        }
        json_decref(fact);
}

static void take_host_versions(struct Profiles *ps, json_t *result) {
        GHashTableIter iter;
        gpointer program;

        for (ProfileId id = 0; id < PROFILE_MAX; id++)
                profile_changing(&ps->all[id], "QEMUVersion");
        g_hash_table_iter_init(&iter, ps->host_versions);
        while (g_hash_table_iter_next(&iter, &program, NULL))
                if (*version_in(result, program))
                        g_hash_table_iter_replace(&iter, plain_text(version_in(result, program), 64));
        remember_host_versions(ps);
}

static void on_versions(json_t *result, const Problem *problem, void *userdata) {
        struct QEMUVersions *v = userdata;
        struct Profiles *ps = v->profiles;
        Profile *p = v->bundle;

        v->work = NULL;
        ps->versions = NULL;
        if (problem)
                log_warning("QEMU's version could not be asked for: %s", problem->text);
        else if (!p)
                take_host_versions(ps, result);
        else if (p->ref && strcmp(p->ref->digest, v->digest) == 0) {
                profile_changing(p, "QEMUVersion");
                g_free(p->found_version);
                p->found_version = plain_text(version_in(result, p->ref->programs[0]), 64);
        }
        g_free(v);
        if (!problem)
                profiles_ask_versions(ps);
}

static void ask(struct Profiles *ps, Profile *bundle, json_t *programs, int dir) {
        static const char *const names[] = {"bundle"};
        struct QEMUVersions *v = g_new0(struct QEMUVersions, 1);
        json_t *message = json_pack("{s:s, s:o, s:s}", "op", "qemu-version", "programs", programs, "loader",
                bundle ? bundle->ref->loader : "");

        *v = (struct QEMUVersions){.profiles = ps, .bundle = bundle};
        if (bundle)
                g_strlcpy(v->digest, bundle->ref->digest, sizeof v->digest);
        if (work_start_as(
                    ps->runtime, VERSION_INSTANCE, message, &dir, names, bundle ? 1 : 0, on_versions, v, &v->work) < 0)
                g_free(v);
        else
                ps->versions = v;
}

/* The host's programs that nobody has asked yet. */
static json_t *unknown_programs(struct Profiles *ps) {
        static const char *const architectures[] = {"x86_64", "aarch64", "arm", "riscv64", "mips", "ppc64"};
        json_t *programs = json_array();

        for (size_t i = 0; i < G_N_ELEMENTS(architectures); i++) {
                g_autofree char *path = qemu_host_program(ps->runtime->config, architectures[i]);

                if (access(path, X_OK) < 0 || g_hash_table_contains(ps->host_versions, path))
                        continue;
                (void) json_array_append_new(programs, json_string(path));
                (void) g_hash_table_insert(ps->host_versions, g_steal_pointer(&path), g_strdup(""));
        }
        return programs;
}

void profiles_ask_versions(struct Profiles *ps) {
        json_t *programs;

        if (ps->versions)
                return;
        programs = unknown_programs(ps);
        if (json_array_size(programs) > 0) {
                ask(ps, NULL, programs, -1);
                return;
        }
        json_decref(programs);
        for (ProfileId id = 0; id < PROFILE_MAX; id++) {
                Profile *p = &ps->all[id];
                int dir;

                if (!profile_is_assembled(p) || *p->ref->version || p->version_asked)
                        continue;
                dir = profile_store_open_current(ps->store, p->name);
                if (dir < 0)
                        continue;
                p->version_asked = true;
                ask(ps, p, json_pack("[s]", p->ref->programs[0]), dir);
                return;
        }
}
