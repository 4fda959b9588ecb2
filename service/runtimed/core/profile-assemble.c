/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of an assembly: manifests are looked at, a worker reads the newest one and asks for its objects, each is
 * linked here and hashed there, and the new directory becomes the current one. Whoever wants the same waits for the
 * same. */
#include <errno.h>
#include <string.h>

#include "core/profile-private.h"
#include "core/vm.h"
#include "shared/fd.h"
#include "shared/log.h"

struct Assembling {
        Profile *profile;
        bool verify;
        ProfileRef *ref; /* a copy of what matters: file and digest */
        Assembly *assembly;
        Work *work;
        Waiter *scan;
        GPtrArray *jobs; /* Job, borrowed */
        GPtrArray *waiters;
        uint32_t placed;  /* entries so far */
        Problem *problem; /* found here, while the worker ends */
};

Assembling *assembling_free(Assembling *a) {
        if (!a)
                return NULL;
        (void) waiter_cancel(a->scan);
        (void) work_cancel(a->work);
        if (a->assembly)
                (void) assembly_discard(a->assembly);
        profile_ref_free(a->ref);
        problem_free(a->problem);
        g_ptr_array_unref(a->jobs);
        g_ptr_array_unref(a->waiters);
        g_free(a);
        return NULL;
}

/* Everybody who waits hears of the end; the Assembling is gone before. */
static void assembling_end(Assembling *a, const Problem *problem) {
        g_autoptr(GPtrArray) jobs = g_ptr_array_ref(a->jobs), waiters = g_ptr_array_ref(a->waiters);
        g_autoptr(Problem) copy = problem ? problem_new(problem->error, problem->key, "%s", problem->text) : NULL;
        struct Profiles *ps = a->profile->runtime->profiles;

        if (a->verify)
                (void) g_ptr_array_remove(ps->busy, a);
        else
                a->profile->assembling = NULL;
        (void) assembling_free(a);
        for (guint i = 0; i < jobs->len; i++)
                job_finish(jobs->pdata[i], copy);
        waiters_fire(waiters, copy);
        profiles_ask_versions(ps);
}

static void fail(Assembling *a, const char *error, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void fail(Assembling *a, const char *error, const char *format, ...) {
        g_autoptr(Problem) problem = NULL;
        va_list ap;

        va_start(ap, format);
        g_autofree char *text = g_strdup_vprintf(format, ap);
        va_end(ap);
        problem = problem_new(error, NULL, "profile %s: %s", a->profile->name, text);
        assembling_end(a, problem);
}

/* ---- The end ---- */

static bool is_in_use(const char *digest, void *userdata) {
        const Profile *p = userdata;
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, p->runtime->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const VM *vm = value;

                if (vm->record && vm_state_is_active(vm_state(vm)) &&
                        g_strcmp0(vm->record->profile_digest, digest) == 0)
                        return true;
        }
        return false;
}

static void commit(Assembling *a) {
        Profile *p = a->profile;
        uint64_t bytes = 0;
        uint32_t count = 0;
        int r;

        r = assembly_commit(g_steal_pointer(&a->assembly));
        if (r < 0) {
                fail(a, profile_error_of(r), "the assembly could not be stored: %s", g_strerror(-r));
                return;
        }
        if (!a->verify) {
                profile_changing_all(p);
                g_free(p->assembled);
                p->assembled = g_strdup(a->ref->digest);
                p->version_asked = false;
                profile_store_clean_assemblies(p->runtime->profiles->store, p->name, is_in_use, p, &bytes, &count);
        }
        assembling_end(a, NULL);
}

static void on_checked(json_t *result, const Problem *problem, void *userdata) {
        Assembling *a = userdata;

        a->work = NULL;
        if (problem)
                fail(a, problem->error, "%s", problem->text);
        else if (g_strcmp0(json_string_value(json_object_get(result, "digest")), a->ref->digest) != 0)
                fail(a, "ProfileDamaged", "manifest %s has changed while it was read", a->ref->file);
        else
                commit(a);
}

/* ---- Entries ---- */

/* One entry of a batch: its items go into the answer. Negative errno; *ret_damage as in assembly_place(). */
static int place(Assembling *a, size_t index, const json_t *entry, json_t *list, int *fds, size_t *n_fds,
        const char **ret_damage) {
        const char *path = json_string_value(json_object_get(entry, "path"));
        const char *hash = json_string_value(json_object_get(entry, "hash"));
        AssemblyItem items[2];
        size_t n;
        int r;

        *ret_damage = NULL;
        if (!path || !hash || !profile_path_is_valid(path) || !profile_hash_is_valid(hash))
                return -EPROTO;
        r = assembly_place(
                a->assembly, path, hash, json_is_true(json_object_get(entry, "executable")), items, &n, ret_damage);
        if (r < 0)
                n = r == -EBADMSG ? n : 0;
        for (size_t i = 0; i < n; i++) {
                fds[(*n_fds)++] = items[i].fd;
                if (items[i].copy >= 0)
                        fds[(*n_fds)++] = items[i].copy;
                (void) json_array_append_new(
                        list, json_pack("{s:i, s:b}", "entry", (int) index, "copy", (int) (items[i].copy >= 0)));
        }
        return r;
}

/* Says what is wrong with an entry, in the words of who keeps the store. */
static void fail_entry(Assembling *a, const json_t *entry, int r, const char *damage) {
        const char *path = json_string_value(json_object_get(entry, "path")) ?: "",
                   *hash = json_string_value(json_object_get(entry, "hash")) ?: "";

        if (r == -EPROTO)
                fail(a, "BuildFailed", "the worker's request is none");
        else if (damage)
                fail(a, "ProfileDamaged", "object %s (%s) %s", hash, path, damage);
        else if (r == -EEXIST)
                fail(a, "ProfileDamaged", "manifest: the path '%s' is there twice", path);
        else
                fail(a, profile_error_of(r), "%s could not be linked: %s", path, g_strerror(-r));
}

static void on_place(Assembling *a, json_t *message) {
        json_t *entries = json_object_get(message, "list"), *entry, *list = json_array();
        int fds[2 * PROFILE_BATCH], r = 0;
        const char *damage = NULL;
        size_t n_fds = 0, i;

        assembly_settle(a->assembly);
        a->placed += (uint32_t) json_array_size(entries);
        if (json_array_size(entries) > PROFILE_BATCH || a->placed > PROFILE_OBJECTS_MAX) {
                json_decref(list);
                fail(a, "BuildFailed", "the worker's request is none");
                return;
        }
        json_array_foreach(entries, i, entry) {
                r = place(a, i, entry, list, fds, &n_fds, &damage);
                if (r < 0)
                        break;
        }
        if (r >= 0) {
                json_t *names = json_array();

                for (size_t k = 0; k < n_fds; k++)
                        (void) json_array_append_new(names, json_string("object"));
                (void) work_answer(a->work, json_pack("{s:s, s:o, s:o}", "type", "placed", "list", list, "fds", names),
                        fds, n_fds);
                return;
        }
        json_decref(list);
        for (size_t k = 0; k < n_fds; k++)
                (void) close_fd(fds[k]);
        fail_entry(a, entry, r, damage);
}

static void on_message(json_t *message, void *userdata) {
        Assembling *a = userdata;
        const char *type = json_string_value(json_object_get(message, "type"));

        if (strcmp(type, "progress") == 0)
                for (guint i = 0; i < a->jobs->len; i++) {
                        job_set_stage(a->jobs->pdata[i], "verify");
                        job_set_progress(a->jobs->pdata[i], json_number_value(json_object_get(message, "fraction")));
                }
        if (strcmp(type, "place") == 0)
                on_place(a, message);
}

/* ---- The beginning ---- */

/* Why there is nothing to assemble: a manifest that is none says so itself. */
static void fail_no_manifest(Assembling *a) {
        Profile *p = a->profile;
        const ProfileRef *broken = NULL;
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, p->runtime->profiles->refs);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (((ProfileRef *) value)->error && profile_ref_is_of(((ProfileRef *) value)->file, p->name))
                        broken = value;
        if (broken)
                fail(a, "ProfileDamaged", "%s: %s", broken->file, broken->error);
        else
                fail(a, "NoSuchProfile",
                        "its store has no manifest; the host's QEMU serves it. ImportProfile('%s', ...) brings one",
                        p->name);
}

static void on_scanned(const Problem *problem, void *userdata) {
        static const char *const names[] = {"manifest"};
        Assembling *a = userdata;
        Profile *p = a->profile;
        struct Profiles *ps = p->runtime->profiles;
        g_autofree char *id = NULL;
        int fd, r;

        a->scan = NULL;
        if (!p->ref) {
                if (a->jobs->len > 0)
                        fail_no_manifest(a);
                else /* whoever wants to run it gets the host's */
                        assembling_end(a, NULL);
                return;
        }
        a->ref = g_new0(ProfileRef, 1);
        a->ref->file = g_strdup(p->ref->file);
        g_strlcpy(a->ref->digest, p->ref->digest, sizeof a->ref->digest);
        fd = profile_store_open_ref(ps->store, a->ref->file, &id);
        r = fd < 0 ? fd : assembly_begin(ps->store, p->name, a->ref->digest, a->verify, &a->assembly);
        if (r < 0) {
                (void) close_fd(fd);
                fail(a, profile_error_of(r), "the assembly could not be begun: %s", g_strerror(-r));
                return;
        }
        r = work_start(p->runtime, NULL, 0, 0, json_pack("{s:s, s:s}", "op", "profile-check", "profile", p->name), &fd,
                names, 1, on_checked, a, &a->work);
        if (r < 0) {
                fail(a, "BuildFailed", "the worker could not be started: %s", g_strerror(-r));
                return;
        }
        work_on_message(a->work, on_message);
}

static Assembling *assembling_new(Profile *p, bool verify) {
        Assembling *a = g_new0(Assembling, 1);

        *a = (Assembling){.profile = p, .verify = verify, .jobs = g_ptr_array_new(), .waiters = waiters_new()};
        return a;
}

static void on_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the job was canceled");
        Assembling *a = userdata;

        (void) g_ptr_array_remove(a->jobs, j);
        if (a->jobs->len == 0 && a->waiters->len == 0)
                assembling_end(a, problem);
        job_finish(j, problem);
}

static int start_job(Profile *p, const char *kind, uint32_t owner, Job **ret, Problem **ret_problem) {
        Runtime *rt = p->runtime;
        int r;

        r = profiles_need_store(rt->profiles, ret_problem);
        if (r >= 0)
                r = job_new(rt, kind, owner, ret, ret_problem);
        if (r < 0)
                return r;
        (*ret)->profile = p->name;
        job_announce(*ret);
        return 0;
}

static void join(Assembling *a, Job *j) {
        g_ptr_array_add(a->jobs, j);
        job_set_cancel(j, on_cancel, a);
        job_set_stage(j, "manifest");
}

int profile_assemble(Profile *p, uint32_t owner, Job **ret, Problem **ret_problem) {
        bool is_new = !p->assembling;
        int r;

        r = start_job(p, "assemble", owner, ret, ret_problem);
        if (r < 0)
                return r;
        if (is_new)
                p->assembling = assembling_new(p, false);
        join(p->assembling, *ret);
        if (is_new)
                profiles_scan(p->runtime->profiles, on_scanned, p->assembling, &p->assembling->scan);
        return 0;
}

int profile_verify(Profile *p, uint32_t owner, Job **ret, Problem **ret_problem) {
        Assembling *a;
        int r;

        r = start_job(p, "verify", owner, ret, ret_problem);
        if (r < 0)
                return r;
        a = assembling_new(p, true);
        g_ptr_array_add(p->runtime->profiles->busy, a);
        join(a, *ret);
        profiles_scan(p->runtime->profiles, on_scanned, a, &a->scan);
        return 0;
}

void profile_ensure(Profile *p, WaiterDone done, void *userdata, Waiter **ret) {
        Assembling *a = p->assembling;

        *ret = NULL;
        if (!a && (!p->ref || profile_is_assembled(p))) {
                done(NULL, userdata);
                return;
        }
        if (a) {
                *ret = waiter_add(a->waiters, done, userdata);
                return;
        }
        a = p->assembling = assembling_new(p, false);
        *ret = waiter_add(a->waiters, done, userdata);
        profiles_scan(p->runtime->profiles, on_scanned, a, &a->scan);
}
