/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a Nanos guest's disk from a registry: mcp-fetch fetches the artifact, a worker unpacks it, another hashes
 * the disk, and the image that it was made of has it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/builds.h"
#include "core/fetch.h"
#include "core/image-build.h"
#include "core/image-private.h"
#include "core/nanos.h"
#include "core/quota.h"
#include "core/registry.h"
#include "core/work.h"
#include "shared/artifact-type.h"
#include "shared/fd.h"

#define FETCH_SHARE 0.5  /* of the progress, and then */
#define UNPACK_SHARE 0.8 /* up to here; the rest is the hash */

typedef struct DiskPull {
        Job *job;
        RegistryPlace place;
        char *reference;
        char *resolved;       /* digest of its manifest */
        char *archive, *disk; /* temporary files of the store */
        Fetch *fetch;
        Work *work;
        NanosBuild *build;
} DiskPull;

static void drop_file(DiskPull *p, char *name) {
        if (name)
                store_image_discard(p->job->runtime->store, p->job->owner, name);
        g_free(name);
}

static void pull_free(void *userdata) {
        DiskPull *p = userdata;

        (void) fetch_cancel(p->fetch);
        (void) work_cancel(p->work);
        (void) nanos_cancel(p->build);
        drop_file(p, p->archive);
        drop_file(p, p->disk);
        registry_place_clear(&p->place);
        g_free(p->reference);
        g_free(p->resolved);
        g_free(p);
}

static void pull_end(DiskPull *p, const Problem *problem) {
        Job *j = p->job;

        pull_free(p);
        job_finish(j, problem);
}

static void pull_fail(DiskPull *p, const char *error, int r, const char *what) {
        g_autoptr(Problem) problem = image_problem(error, r, what);

        pull_end(p, problem);
}

static void on_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the pull was canceled");

        pull_end(userdata, problem);
}

/* ---- 3. take ---- */

static void on_taken(const ImageBuild *build, const Problem *problem, void *userdata) {
        DiskPull *p = userdata;

        p->build = NULL;
        pull_end(p, problem);
}

static void on_unpacked(json_t *result, const Problem *problem, void *userdata) {
        DiskPull *p = userdata;
        const char *digest = json_string_value(json_object_get(result, "image")),
                   *key = json_string_value(json_object_get(result, "key"));
        g_autofree char *check = g_strconcat("sha256:", key, NULL);
        g_autoptr(Problem) missing = NULL;
        Image *image;

        p->work = NULL;
        if (problem) {
                pull_end(p, problem);
                return;
        }
        if (!digest || !digest_is_valid(digest) || !key || !digest_is_valid(check)) {
                pull_fail(p, "BuildFailed", -EBADMSG, "the worker does not say whose disk it is");
                return;
        }
        image = image_find(p->job->runtime, p->job->owner, digest);
        if (!image) {
                missing = problem_new("NoSuchImage", NULL,
                        "%s is a disk that was made of image %s, which you do not have; pull that first", p->reference,
                        digest);
                pull_end(p, missing);
                return;
        }
        image_name_job(image, p->job);
        nanos_adopt(image, key, g_steal_pointer(&p->disk), p->job, UNPACK_SHARE, 1, on_taken, p, &p->build);
}

/* ---- 2. unpack ---- */

static int unpack_start(DiskPull *p) {
        static const char *const names[] = {"source", "output"};
        Runtime *rt = p->job->runtime;
        uint64_t bytes = MIN(p->job->reserved, (uint64_t) INT64_MAX);
        int fds[2];

        fds[0] = store_image_part_open(rt->store, p->job->owner, p->archive);
        if (fds[0] < 0)
                return fds[0];
        fds[1] = store_image_create(rt->store, p->job->owner, &p->disk);
        if (fds[1] < 0) {
                (void) close_fd(fds[0]);
                return fds[1];
        }
        return work_start(rt, p->job, FETCH_SHARE, UNPACK_SHARE,
                json_pack("{s:s, s:s, s:{s:I, s:I}}", "op", "nanos-unpack", "digest", p->resolved, "limits", "bytes",
                        (json_int_t) bytes, "manifest", (json_int_t) rt->config->image_manifest_bytes_max),
                fds, names, 2, on_unpacked, p, &p->work);
}

static void on_fetched(json_t *result, const Problem *problem, void *userdata) {
        DiskPull *p = userdata;
        int r;

        p->fetch = NULL;
        if (problem) {
                pull_end(p, problem);
                return;
        }
        if (!p->resolved) { /* then no worker would know what to look for */
                pull_fail(p, "RegistryFailed", -EBADMSG, "mcp-fetch gave no digest");
                return;
        }
        r = unpack_start(p);
        if (r < 0)
                pull_fail(p, "BuildFailed", r, "the disk could not be unpacked");
}

/* ---- 1. fetch ---- */

static const ArtifactKind disk_kind = {
        .type = ARTIFACT_NANOS,
        .config_type = ARTIFACT_NANOS_CONFIG,
        .name = "disk",
        .description = "disk of a Nanos guest",
        .option = "Target",
};

static void on_resolved(
        Fetch *f, const char *digest, const char *manifest, uint64_t size, const char *artifact, void *userdata) {
        DiskPull *p = userdata;
        g_autoptr(Problem) problem =
                registry_check_artifact(&p->place, p->reference, digest, manifest, artifact, &disk_kind);
        g_autofree char *text = g_strdup_printf("%s is %s", p->reference, digest);
        int r;

        job_log(p->job, 6, text);
        if (problem) {
                pull_end(p, problem);
                return;
        }
        p->resolved = g_strdup(digest);
        r = fetch_go(f, MIN(p->job->runtime->config->pull_bytes_max, p->job->reserved));
        if (r < 0)
                pull_fail(p, "RegistryFailed", r, "mcp-fetch does not listen");
}

static const FetchOps fetch_ops = {.resolved = on_resolved, .done = on_fetched};

static int pull_start(DiskPull *p, Problem **ret_problem) {
        Runtime *rt = p->job->runtime;
        int archive, r;

        r = quota_check_image(rt, p->job->owner, ret_problem);
        if (r < 0)
                return r;
        p->job->reserved = MIN(quota_image_bytes(rt, p->job->owner), rt->config->image_bytes_max);
        archive = store_image_create(rt->store, p->job->owner, &p->archive);
        if (archive < 0) {
                *ret_problem = image_problem("BuildFailed", archive, "the archive could not be made");
                return archive;
        }
        r = registry_pull(p->job, p->job->owner, &p->place, image_architecture(rt->limits.architecture), archive,
                FETCH_SHARE, &fetch_ops, p, &p->fetch);
        if (r < 0)
                *ret_problem = image_problem("RegistryFailed", r, "mcp-fetch could not be started");
        return r;
}

static void on_turn(Job *j, void *userdata) {
        g_autoptr(Problem) problem = NULL;

        if (pull_start(userdata, &problem) < 0)
                pull_end(userdata, problem);
}

/* As for an image: what the owner's other imports may still come to is kept for them. */
static bool has_room(const Job *j, void *userdata) {
        return quota_has_image_room(j->runtime, j->owner);
}

int nanos_pull(Runtime *rt, uint32_t owner, const char *reference, Job **ret, Problem **ret_problem) {
        RegistryPlace place;
        DiskPull *p;
        int r;

        r = pull_check(rt, owner, ret_problem);
        if (r >= 0)
                r = registry_place(rt, reference, &place, ret_problem);
        if (r < 0)
                return r;
        r = job_new(rt, "pull", owner, ret, ret_problem);
        if (r < 0) {
                registry_place_clear(&place);
                return r;
        }
        (*ret)->image = g_strdup(reference);
        job_announce(*ret);
        p = g_new0(DiskPull, 1);
        *p = (DiskPull){.job = *ret, .place = place, .reference = g_strdup(reference)};
        job_set_cancel(*ret, on_cancel, p);
        builds_join(*ret, has_room, on_turn, pull_free, p);
        return 0;
}
