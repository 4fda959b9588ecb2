/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of an import: a worker reads the archive and writes objects and a manifest into files that it asks for; once
 * it has ended they get their names, a few at a time, and the manifest comes last. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/profile-private.h"
#include "shared/fd.h"
#include "shared/log.h"

#define OUTPUTS_MAX 16U    /* in one answer */
#define COMMITS_A_TURN 64U /* of the event loop */
#define WORKER_SHARE 0.95  /* of the progress */

/* A file that the worker got. */
typedef struct Output {
        char *tmp;
        char hash[PROFILE_HASH_LENGTH + 1]; /* "": nothing was said of it */
        bool executable;
} Output;

typedef struct ProfileImport {
        Profile *profile;
        Job *job;
        Work *work;
        json_t *result;
        char *manifest;  /* temporary name */
        char *place;     /* that it was pulled from, or NULL */
        GArray *outputs; /* Output */
        guint told, committed;
        sd_event_source *turn;
} ProfileImport;

static void output_clear(void *p) {
        g_free(((Output *) p)->tmp);
}

static Output *output_at(ProfileImport *im, guint i) {
        return &g_array_index(im->outputs, Output, i);
}

static void import_free(ProfileImport *im) {
        struct Profiles *ps = im->profile->runtime->profiles;

        (void) work_cancel(im->work);
        sd_event_source_disable_unref(im->turn);
        for (guint i = im->committed; i < im->outputs->len; i++)
                profile_store_discard_object(ps->store, output_at(im, i)->tmp);
        if (im->manifest)
                profile_store_discard_ref(ps->store, im->manifest);
        (void) g_ptr_array_remove(ps->busy, im);
        json_decref(im->result);
        g_array_unref(im->outputs);
        g_free(im->manifest);
        g_free(im->place);
        g_free(im);
}

static void import_end(ProfileImport *im, const Problem *problem) {
        Job *j = im->job;

        import_free(im);
        job_finish(j, problem);
}

static void import_fail(ProfileImport *im, int r, const char *what) {
        g_autoptr(Problem) problem = problem_new(profile_error_of(r), NULL, "%s: %s", what, g_strerror(-r));

        import_end(im, problem);
}

static void import_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the import was canceled");

        import_end(userdata, problem);
}

/* ---- While the worker works ---- */

static void on_outputs(ProfileImport *im, json_t *message) {
        struct Profiles *ps = im->profile->runtime->profiles;
        size_t n = (size_t) CLAMP(json_integer_value(json_object_get(message, "n")), 1, OUTPUTS_MAX);
        json_t *names = json_array();
        int fds[OUTPUTS_MAX], r = 0;
        size_t made = 0;

        while (made < n && r >= 0) {
                Output o = {};

                r = im->outputs->len >= PROFILE_OBJECTS_MAX + OUTPUTS_MAX
                            ? -E2BIG
                            : profile_store_create_object(ps->store, &o.tmp);
                if (r < 0)
                        break;
                fds[made++] = r;
                g_array_append_val(im->outputs, o);
                (void) json_array_append_new(names, json_string("output"));
        }
        if (r < 0) {
                json_decref(names);
                for (size_t i = 0; i < made; i++)
                        (void) close_fd(fds[i]);
                import_fail(im, r, "a file for an object could not be made");
                return;
        }
        (void) work_answer(im->work, json_pack("{s:s, s:o}", "type", "outputs", "fds", names), fds, made);
}

static void on_object(ProfileImport *im, json_t *message) {
        const char *hash = json_string_value(json_object_get(message, "hash"));
        Output *o;

        if (im->told >= im->outputs->len || !hash || !profile_hash_is_valid(hash)) {
                import_fail(im, -EBADMSG, "the worker's answer");
                return;
        }
        o = output_at(im, im->told++);
        g_strlcpy(o->hash, hash, sizeof o->hash);
        o->executable = json_is_true(json_object_get(message, "executable"));
}

static void on_message(json_t *message, void *userdata) {
        const char *type = json_string_value(json_object_get(message, "type"));

        if (strcmp(type, "outputs") == 0)
                on_outputs(userdata, message);
        else if (strcmp(type, "object") == 0)
                on_object(userdata, message);
}

/* ---- Afterwards ---- */

/* All objects are there: the manifest names them. */
static void commit_manifest(ProfileImport *im) {
        Profile *p = im->profile;
        struct Profiles *ps = p->runtime->profiles;
        g_autofree char *file = NULL, *id = NULL;
        _cleanup_close_ int fd = -1;
        ProfileRef *ref = NULL;
        int r;

        file = g_strdup_printf("%s-%s.json", p->name, json_string_value(json_object_get(im->result, "digest")));
        r = profile_store_sync(ps->store);
        if (r >= 0)
                r = profile_store_commit_ref(ps->store, im->manifest, file);
        if (r >= 0) {
                g_clear_pointer(&im->manifest, g_free);
                r = fd = profile_store_open_ref(ps->store, file, &id);
        }
        if (r >= 0)
                r = profile_ref_parse(file, id, im->result, &ref);
        if (r < 0) {
                import_fail(im, r, "the manifest could not be stored");
                return;
        }
        ref->source = g_steal_pointer(&im->place);
        profiles_add_ref(ps, ref);
        profiles_choose(ps);
        profiles_remember(ps);
        import_end(im, NULL);
}

/* A few objects get their names; files that the worker did not use go. */
static int on_turn(sd_event_source *source, void *userdata) {
        ProfileImport *im = userdata;
        struct Profiles *ps = im->profile->runtime->profiles;
        int r = 0;

        for (guint n = 0; n < COMMITS_A_TURN && im->committed < im->outputs->len && r >= 0; n++) {
                const Output *o = output_at(im, im->committed);

                if (*o->hash)
                        r = profile_store_commit_object(ps->store, o->tmp, o->hash, o->executable);
                else
                        profile_store_discard_object(ps->store, o->tmp);
                if (r >= 0)
                        im->committed++;
        }
        if (r < 0)
                import_fail(im, r, "an object could not be stored");
        else if (im->committed == im->outputs->len)
                commit_manifest(im);
        else
                (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

static void on_ingested(json_t *result, const Problem *problem, void *userdata) {
        ProfileImport *im = userdata;
        const char *digest = json_string_value(json_object_get(result, "digest"));
        int r;

        im->work = NULL;
        if (problem) {
                import_end(im, problem);
                return;
        }
        if (!digest || !profile_hash_is_valid(digest)) {
                import_fail(im, -EBADMSG, "the worker's answer");
                return;
        }
        im->result = json_incref(result);
        job_set_stage(im->job, "store");
        r = sd_event_add_defer(im->profile->runtime->event, &im->turn, on_turn, im);
        if (r < 0)
                import_fail(im, r, "the objects could not be stored");
}

/* ---- The beginning ---- */

static json_t *import_message(const Profile *p, const ProfileSource *source) {
        json_t *message = json_pack("{s:s, s:s, s:s, s:s*, s:s*}", "op",
                source->artifact ? "profile-unpack" : "profile-ingest", "profile", p->name, "arch",
                p->runtime->limits.architecture, "qemu_version", source->version, "digest", source->artifact);

        if (!source->path)
                return message;
        (void) json_object_set_new(message, "path", json_string(source->path));
        (void) json_object_set_new(message, "roots", work_roots(p->runtime));
        return message;
}

static int import_start(ProfileImport *im, ProfileSource *source) {
        static const char *const names[] = {"output", "source"};
        Runtime *rt = im->profile->runtime;
        int fds[2] = {-1, -1}, r;

        fds[0] = profile_store_create_ref(rt->profiles->store, &im->manifest);
        if (fds[0] < 0)
                return fds[0];
        fds[1] = take_fd(&source->fd);
        r = work_start(rt, im->job, source->from, WORKER_SHARE, import_message(im->profile, source), fds, names,
                fds[1] >= 0 ? 2 : 1, on_ingested, im, &im->work);
        if (r >= 0)
                work_on_message(im->work, on_message);
        return r;
}

void profile_import_into(Profile *p, Job *j, ProfileSource *source) {
        ProfileImport *im = g_new0(ProfileImport, 1);
        int r;

        *im = (ProfileImport){.profile = p,
                .job = j,
                .place = g_strdup(source->place),
                .outputs = g_array_new(FALSE, FALSE, sizeof(Output))};
        g_array_set_clear_func(im->outputs, output_clear);
        g_ptr_array_add(p->runtime->profiles->busy, im);
        job_set_cancel(j, import_cancel, im);
        r = import_start(im, source);
        source->fd = close_fd(source->fd);
        if (r < 0)
                import_fail(im, r, "the import could not be begun");
}

int profile_import(Profile *p, uint32_t owner, int source, const char *path, const char *version, Job **ret,
        Problem **ret_problem) {
        ProfileSource where = {.fd = source, .path = path, .version = version};
        int r;

        r = profiles_need_store(p->runtime->profiles, ret_problem);
        if (r >= 0)
                r = job_new(p->runtime, "import-profile", owner, ret, ret_problem);
        if (r < 0) {
                (void) close_fd(source);
                return r;
        }
        (*ret)->profile = p->name;
        job_announce(*ret);
        profile_import_into(p, *ret, &where);
        return 0;
}
