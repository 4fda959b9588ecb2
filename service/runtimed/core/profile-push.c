/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a profile to a registry: a worker reads the manifest and its objects and writes them as an OCI archive,
 * the same for the same profile; mcp-fetch sends it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/fetch.h"
#include "core/profile-private.h"
#include "core/registry.h"
#include "model/name.h"
#include "shared/fd.h"

#define PACK_SHARE 0.4  /* of the progress; the rest is the push */
#define OBJECTS_MAX 16U /* in one answer */

typedef struct Push {
        Profile *profile;
        Job *job;
        RegistryPlace place;
        char *destination;
        int archive; /* has no name: it goes with us */
        Work *work;
        Fetch *fetch;
} Push;

static void push_free(Push *p) {
        (void) g_ptr_array_remove(p->profile->runtime->profiles->busy, p);
        (void) work_cancel(p->work);
        (void) fetch_cancel(p->fetch);
        registry_place_clear(&p->place);
        (void) close_fd(p->archive);
        g_free(p->destination);
        g_free(p);
}

static void push_end(Push *p, const Problem *problem) {
        Job *j = p->job;

        push_free(p);
        job_finish(j, problem);
}

static void push_fail(Push *p, const char *error, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void push_fail(Push *p, const char *error, const char *format, ...) {
        g_autoptr(Problem) problem = NULL;
        va_list ap;

        va_start(ap, format);
        g_autofree char *text = g_strdup_vprintf(format, ap);
        va_end(ap);
        problem = problem_new(error, NULL, "profile %s: %s", p->profile->name, text);
        push_end(p, problem);
}

static void on_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the push was canceled");

        push_end(userdata, problem);
}

/* ---- 2. push ---- */

static void on_pushed(json_t *result, const Problem *problem, void *userdata) {
        Push *p = userdata;

        p->fetch = NULL;
        push_end(p, problem);
}

static const FetchOps fetch_ops = {.done = on_pushed};

/* ---- 1. pack ---- */

static void on_packed(json_t *result, const Problem *problem, void *userdata) {
        Push *p = userdata;
        const char *digest = json_string_value(json_object_get(result, "digest"));
        g_autofree char *text = NULL;
        int r;

        p->work = NULL;
        if (problem) {
                push_end(p, problem);
                return;
        }
        if (!digest || !digest_is_valid(digest)) {
                push_fail(p, "BuildFailed", "the worker gave no digest");
                return;
        }
        text = g_strdup_printf("%s becomes %s", p->destination, digest);
        job_log(p->job, 6, text);
        r = registry_push(p->job, p->job->owner, &p->place, digest, take_fd(&p->archive), PACK_SHARE, &fetch_ops, p,
                &p->fetch);
        if (r < 0)
                push_fail(p, "RegistryFailed", "mcp-fetch could not be started: %s", g_strerror(-r));
}

/* Says what is wrong with an object, in the words of who keeps the store. */
static void fail_object(Push *p, const char *hash, const char *path, int r) {
        if (r == -ENOENT || r == -ELOOP || r == -EINVAL)
                push_fail(p, "ProfileDamaged", "object %s (%s) %s", hash, path,
                        r == -ENOENT  ? "is missing"
                        : r == -ELOOP ? "is a symbolic link"
                                      : "is not a regular file");
        else
                push_fail(p, profile_error_of(r), "object %s (%s): %s", hash, path, g_strerror(-r));
}

static void on_objects(Push *p, json_t *message) {
        json_t *list = json_object_get(message, "list"), *names = json_array(), *item;
        const char *hash = "", *path = "";
        int fds[OBJECTS_MAX], r = 0;
        size_t n = 0, i;

        if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > OBJECTS_MAX)
                r = -EPROTO;
        json_array_foreach(list, i, item) {
                hash = json_string_value(json_object_get(item, "hash"));
                path = json_string_value(json_object_get(item, "path"));
                if (r >= 0)
                        r = hash && path && profile_hash_is_valid(hash) && profile_path_is_valid(path)
                                    ? profile_store_open_object(p->profile->runtime->profiles->store, hash)
                                    : -EPROTO;
                if (r < 0)
                        break;
                fds[n++] = r;
                (void) json_array_append_new(names, json_string("object"));
        }
        if (r >= 0) {
                (void) work_answer(p->work, json_pack("{s:s, s:o}", "type", "objects", "fds", names), fds, n);
                return;
        }
        json_decref(names);
        while (n > 0)
                (void) close_fd(fds[--n]);
        if (r == -EPROTO)
                push_fail(p, "BuildFailed", "the worker's request is none");
        else
                fail_object(p, hash, path, r);
}

static void on_message(json_t *message, void *userdata) {
        if (strcmp(json_string_value(json_object_get(message, "type")), "objects") == 0)
                on_objects(userdata, message);
}

/* ---- The beginning ---- */

static int push_start(Push *p) {
        static const char *const names[] = {"manifest", "archive"};
        Runtime *rt = p->profile->runtime;
        g_autofree char *id = NULL;
        int fds[2], r;

        p->archive = profile_store_create_scratch(rt->profiles->store);
        if (p->archive < 0)
                return p->archive;
        fds[0] = profile_store_open_ref(rt->profiles->store, p->profile->ref->file, &id);
        if (fds[0] < 0)
                return fds[0];
        fds[1] = fcntl(p->archive, F_DUPFD_CLOEXEC, 3);
        if (fds[1] < 0) {
                r = -errno;
                (void) close_fd(fds[0]);
                return r;
        }
        r = work_start(rt, p->job, 0, PACK_SHARE, json_pack("{s:s}", "op", "profile-pack"), fds, names, 2, on_packed, p,
                &p->work);
        if (r >= 0)
                work_on_message(p->work, on_message);
        return r;
}

static int check(Profile *p, const char *digest, Problem **ret_problem) {
        if (!p->ref)
                return problem_set(ret_problem, "NoSuchProfile", "Profile",
                        "Profile: %s has no manifest in the store: the host's QEMU serves it, and there is nothing to "
                        "push; ImportProfile('%s', ...) brings a build",
                        p->name, p->name);
        if (*digest &&
                (!g_str_has_prefix(digest, "sha256:") || strcmp(digest + strlen("sha256:"), p->ref->digest) != 0))
                return problem_set(ret_problem, "DigestMismatch", "reference",
                        "reference: with the option Profile expected '' or the profile's Digest, which is sha256:%s",
                        p->ref->digest);
        return 0;
}

int profile_push(Profile *profile, uint32_t owner, const char *digest, const char *destination, Job **ret,
        Problem **ret_problem) {
        Runtime *rt = profile->runtime;
        RegistryPlace place;
        Push *p;
        int r;

        r = profiles_need_store(rt->profiles, ret_problem);
        if (r >= 0)
                r = registry_destination(rt, destination, "profile", &place, ret_problem);
        if (r < 0)
                return r;
        r = check(profile, digest, ret_problem);
        if (r >= 0)
                r = job_new(rt, "push", owner, ret, ret_problem);
        if (r < 0) {
                registry_place_clear(&place);
                return r;
        }
        (*ret)->profile = profile->name;
        job_announce(*ret);
        p = g_new0(Push, 1);
        *p = (Push){
                .profile = profile, .job = *ret, .place = place, .destination = g_strdup(destination), .archive = -1};
        g_ptr_array_add(rt->profiles->busy, p);
        job_set_cancel(*ret, on_cancel, p);
        r = push_start(p);
        if (r < 0)
                push_fail(p, profile_error_of(r), "the push could not be begun: %s", g_strerror(-r));
        return 0;
}
