/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a pull: mcp-fetch resolves the reference and, unless the image is here, fetches it into an archive, which
 * is then imported like any other. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "core/builds.h"
#include "core/fetch.h"
#include "core/image-check.h"
#include "core/image-private.h"
#include "core/quota.h"
#include "core/registry.h"
#include "shared/artifact-type.h"
#include "shared/crash-point.h"
#include "shared/fd.h"

#define FETCH_SHARE 0.6 /* of the progress; the rest is the import */

struct Pull {
        Runtime *runtime;
        Job *job;
        double to;
        uint32_t owner;
        char *reference;
        const char *architecture; /* as images name it */
        RegistryPlace place;
        char *resolved; /* what the registry says it stands for, */
        char *manifest; /* and the manifest of this architecture */
        char *archive;  /* temporary file of the store */
        Fetch *fetch;
        Import *import;
        sd_event_source *later; /* says the problem */
        Problem *problem;
        PullDone done;
        void *userdata;
};

Pull *pull_cancel(Pull *p) {
        if (!p)
                return NULL;
        builds_leave(p->job);
        sd_event_source_disable_unref(p->later);
        (void) fetch_cancel(p->fetch);
        (void) import_cancel(p->import);
        if (p->archive)
                store_image_discard(p->runtime->store, p->owner, p->archive);
        g_free(p->archive);
        g_free(p->reference);
        registry_place_clear(&p->place);
        problem_free(p->problem);
        g_free(p->resolved);
        g_free(p->manifest);
        g_free(p);
        return NULL;
}

static void pull_drop(void *userdata) {
        (void) pull_cancel(userdata);
}

static void pull_end(Pull *p, Image *image, const Problem *problem) {
        PullDone done = p->done;
        void *userdata = p->userdata;

        (void) pull_cancel(p);
        done(image, problem, userdata);
}

static void pull_fail(Pull *p, const char *error, int r, const char *what) {
        g_autoptr(Problem) problem = image_problem(error, r, what);

        pull_end(p, NULL, problem);
}

/* ---- 3. import ---- */

static void on_imported(Image *image, const Problem *problem, void *userdata) {
        Pull *p = userdata;

        p->import = NULL;
        CRASH_POINT(PULL_IMPORTED);
        pull_end(p, image, problem);
}

static void on_fetched(json_t *result, const Problem *problem, void *userdata) {
        Pull *p = userdata;
        ImportRequest q = {.owner = p->owner,
                .reference = p->reference,
                .architecture = p->architecture,
                .from = p->to * FETCH_SHARE,
                .to = p->to,
                .manifest = p->manifest,
                .resolved = p->resolved};
        struct stat st;
        int r;

        p->fetch = NULL;
        if (problem) {
                pull_end(p, NULL, problem);
                return;
        }
        q.source = store_image_part_open(p->runtime->store, p->owner, p->archive);
        r = q.source < 0 || fstat(q.source, &st) == 0 ? q.source : -errno;
        if (r < 0) {
                (void) close_fd(q.source);
                pull_fail(p, "BuildFailed", r, "the fetched archive");
                return;
        }
        CRASH_POINT(PULL_FETCHED);
        q.bytes = p->job->reserved;
        q.archive = g_steal_pointer(&p->archive);
        r = import_new(p->runtime, p->job, &q, on_imported, p, &p->import);
        if (r < 0)
                pull_fail(p, "BuildFailed", r, "the image worker could not be started");
}

/* ---- 2. fetch, or not ---- */

/* Whether the image under the manifest's digest is the one that was asked for: a digest in the reference is either that
 * of the manifest, or one that a worker once followed to it. Else it is fetched and followed again. */
static bool is_proven(const Pull *p, Image *known) {
        const char *wanted = p->place.parts.digest;
        GHashTableIter iter;
        gpointer digest;

        if (!wanted || strcmp(wanted, p->manifest) == 0)
                return true;
        g_hash_table_iter_init(&iter, known->sources);
        while (g_hash_table_iter_next(&iter, NULL, &digest))
                if (strcmp(digest, wanted) == 0)
                        return true;
        return false;
}

static void pull_known(Pull *p, Image *known) {
        int r;

        r = image_add_reference(known, p->reference);
        if (r >= 0) {
                image_set_source(known, p->reference, p->resolved);
                r = image_save(known);
        }
        if (r < 0) {
                pull_fail(p, "BuildFailed", r, "the image's new name could not be stored");
                return;
        }
        CRASH_POINT(PULL_KNOWN);
        image_name_job(known, p->job);
        job_log(p->job, 6, "the image is here already");
        pull_end(p, known, NULL);
}

static Problem *refuse_artifact(const char *reference, const char *artifact) {
        g_autofree char *type = problem_quote(artifact);

        if (strcmp(artifact, ARTIFACT_PROFILE) == 0 || strcmp(artifact, ARTIFACT_PROFILE_CONFIG) == 0)
                return problem_new("UnsupportedImage", NULL,
                        "%s is no image but a profile; PullImage takes it with the option Profile, the profile's name",
                        reference);
        if (strcmp(artifact, ARTIFACT_NANOS) == 0 || strcmp(artifact, ARTIFACT_NANOS_CONFIG) == 0)
                return problem_new("UnsupportedImage", NULL,
                        "%s is no image but the disk of a Nanos guest; PullImage takes it with the option Target, "
                        "'nanos'",
                        reference);
        return problem_new(
                "UnsupportedImage", NULL, "%s is no image but an artifact of the type %s", reference, type);
}

static void on_resolved(
        Fetch *f, const char *digest, const char *manifest, uint64_t size, const char *artifact, void *userdata) {
        Pull *p = userdata;
        g_autoptr(Problem) problem = NULL;
        g_autofree char *id = g_strdup_printf("%u/%s", p->owner, manifest + strlen("sha256:")), *text = NULL;
        Image *known = g_hash_table_lookup(p->runtime->images, id);
        int r;

        CRASH_POINT(PULL_RESOLVED);
        p->resolved = g_strdup(digest);
        p->manifest = g_strdup(manifest);
        text = g_strdup_printf("%s is %s", p->reference, digest);
        job_log(p->job, 6, text);
        if (p->place.parts.digest && strcmp(p->place.parts.digest, digest) != 0)
                problem = problem_new(
                        "DigestMismatch", NULL, "the registry answered with %s for %s", digest, p->reference);
        else if (artifact)
                problem = refuse_artifact(p->reference, artifact);
        if (problem) {
                p->fetch = fetch_cancel(p->fetch);
                pull_end(p, NULL, problem);
                return;
        }
        if (known && is_proven(p, known) && image_is_sound(known)) {
                p->fetch = fetch_cancel(p->fetch);
                pull_known(p, known);
                return;
        }
        r = fetch_go(f, MIN(p->runtime->config->pull_bytes_max, p->job->reserved));
        if (r < 0)
                pull_fail(p, "RegistryFailed", r, "mcp-fetch does not listen");
}

static const FetchOps fetch_ops = {.resolved = on_resolved, .done = on_fetched};

/* ---- 1. resolve ---- */

static int pull_start(Pull *p, Problem **ret_problem) {
        int archive, r;

        r = quota_check_image(p->runtime, p->owner, ret_problem);
        if (r < 0)
                return r;
        p->job->reserved = MIN(quota_image_bytes(p->runtime, p->owner), p->runtime->config->image_bytes_max);
        archive = store_image_create(p->runtime->store, p->owner, &p->archive);
        if (archive < 0) {
                *ret_problem = image_problem("BuildFailed", archive, "the archive could not be made");
                return archive;
        }
        CRASH_POINT(PULL_ARCHIVE);
        r = registry_pull(p->job, p->owner, &p->place, p->architecture, archive, p->to * FETCH_SHARE, &fetch_ops, p,
                &p->fetch);
        if (r < 0)
                *ret_problem = image_problem("RegistryFailed", r, "mcp-fetch could not be started");
        return r;
}

static int on_later(sd_event_source *source, void *userdata) {
        g_autoptr(Problem) problem = g_steal_pointer(&((Pull *) userdata)->problem);

        pull_end(userdata, NULL, problem);
        return 0;
}

/* May be called while the pull is made. */
static void on_turn(Job *j, void *userdata) {
        Pull *p = userdata;

        if (pull_start(p, &p->problem) < 0)
                (void) sd_event_add_defer(p->runtime->event, &p->later, on_later, p);
}

/* What the owner's other imports may still come to is kept for them; alone it finds out how far it comes. */
static bool has_room(const Job *j, void *userdata) {
        return quota_has_image_room(j->runtime, j->owner);
}

int pull_new(Runtime *rt, Job *job, uint32_t owner, const char *reference, const char *architecture, double to,
        PullDone done, void *userdata, Pull **ret, Problem **ret_problem) {
        RegistryPlace place;
        Pull *p;
        int r;

        r = registry_place(rt, reference, &place, ret_problem);
        if (r < 0)
                return r;
        p = g_new0(Pull, 1);
        *p = (Pull){.runtime = rt,
                .job = job,
                .to = to,
                .owner = owner,
                .reference = g_strdup(reference),
                .architecture = architecture ?: image_architecture(rt->limits.architecture),
                .place = place,
                .done = done,
                .userdata = userdata};
        builds_join(job, has_room, on_turn, pull_drop, p);
        *ret = p;
        return 0;
}

int pull_check(Runtime *rt, uint32_t owner, Problem **ret_problem) {
        int r = quota_check_image(rt, owner, ret_problem);

        return r < 0 ? r : builds_check(rt, owner, ret_problem);
}

/* ---- A job of its own ---- */

static void on_pulled(Image *image, const Problem *problem, void *userdata) {
        job_finish(userdata, problem);
}

static void job_cancel_pull(Job *j, void *userdata) {
        g_autoptr(Problem) p = problem_new("Canceled", NULL, "the pull was canceled");

        (void) pull_cancel(userdata);
        job_finish(j, p);
}

int image_pull(Runtime *rt, uint32_t owner, const char *reference, const char *architecture, Job **ret, Problem **ret_problem) {
        g_autoptr(Problem) problem = NULL;
        Pull *p;
        Job *j;
        int r;

        r = pull_check(rt, owner, ret_problem);
        if (r >= 0)
                r = job_new(rt, "pull", owner, &j, ret_problem);
        if (r < 0)
                return r;
        j->image = g_strdup(reference);
        job_announce(j);
        if (pull_new(rt, j, owner, reference, architecture, 1, on_pulled, j, &p, &problem) < 0)
                job_finish(j, problem);
        else
                job_set_cancel(j, job_cancel_pull, p);
        *ret = j;
        return 0;
}
