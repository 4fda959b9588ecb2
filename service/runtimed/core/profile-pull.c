/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a profile from a registry: mcp-fetch says what the reference is and fetches it, then its layer is imported
 * as an archive that somebody hands in. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/fetch.h"
#include "core/image.h"
#include "core/profile-private.h"
#include "core/registry.h"
#include "shared/artifact-type.h"
#include "shared/fd.h"

#define FETCH_SHARE 0.6 /* of the progress; the rest is the import */

typedef struct ProfilePull {
        Profile *profile;
        Job *job;
        RegistryPlace place;
        char *reference;
        char *resolved; /* digest of its manifest */
        int archive;    /* has no name: it goes with us */
        Fetch *fetch;
} ProfilePull;

static void pull_free(ProfilePull *p) {
        (void) g_ptr_array_remove(p->profile->runtime->profiles->busy, p);
        (void) fetch_cancel(p->fetch);
        registry_place_clear(&p->place);
        (void) close_fd(p->archive);
        g_free(p->reference);
        g_free(p->resolved);
        g_free(p);
}

static void pull_end(ProfilePull *p, const Problem *problem) {
        Job *j = p->job;

        pull_free(p);
        job_finish(j, problem);
}

static void pull_fail(ProfilePull *p, const char *error, int r, const char *what) {
        g_autoptr(Problem) problem =
                problem_new(strcmp(profile_error_of(r), "BuildFailed") == 0 ? error : profile_error_of(r), NULL,
                        "%s: %s", what, g_strerror(-r));

        pull_end(p, problem);
}

static void on_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the pull was canceled");

        pull_end(userdata, problem);
}

static void on_fetched(json_t *result, const Problem *problem, void *userdata) {
        ProfilePull *p = userdata;
        g_autofree char *digest = g_strdup(p->resolved), *place = NULL;
        g_autoptr(Problem) unresolved = NULL;
        ProfileSource source = {.artifact = digest, .from = FETCH_SHARE};
        Profile *profile = p->profile;
        Job *j = p->job;

        p->fetch = NULL;
        if (problem) {
                pull_end(p, problem);
                return;
        }
        if (!p->resolved) { /* then no worker would know what to look for */
                unresolved = problem_new("RegistryFailed", NULL, "mcp-fetch gave no digest");
                pull_end(p, unresolved);
                return;
        }
        place = p->place.parts.digest ? g_strdup(p->reference) : g_strconcat(p->reference, "@", p->resolved, NULL);
        source.place = place;
        source.fd = take_fd(&p->archive);
        pull_free(p);
        profile_import_into(profile, j, &source);
}

static const ArtifactKind profile_kind = {
        .type = ARTIFACT_PROFILE,
        .config_type = ARTIFACT_PROFILE_CONFIG,
        .name = "profile",
        .description = "profile",
        .option = "Profile",
};

static void on_resolved(
        Fetch *f, const char *digest, const char *manifest, uint64_t size, const char *artifact, void *userdata) {
        ProfilePull *p = userdata;
        g_autoptr(Problem) problem =
                registry_check_artifact(&p->place, p->reference, digest, manifest, artifact, &profile_kind);
        g_autofree char *text = g_strdup_printf("%s is %s", p->reference, digest);
        struct Profiles *ps = p->profile->runtime->profiles;
        int r;

        job_log(p->job, 6, text);
        if (problem) {
                pull_end(p, problem);
                return;
        }
        /* From here on the store is not cleaned up: what comes would be in vain. */
        if (profiles_need_store(ps, &problem) < 0) {
                pull_end(p, problem);
                return;
        }
        g_ptr_array_add(ps->busy, p);
        p->resolved = g_strdup(digest);
        r = fetch_go(f, p->profile->runtime->config->pull_bytes_max);
        if (r < 0)
                pull_fail(p, "RegistryFailed", r, "mcp-fetch does not listen");
}

static const FetchOps fetch_ops = {.resolved = on_resolved, .done = on_fetched};

static int pull_start(ProfilePull *p) {
        Runtime *rt = p->profile->runtime;
        int archive;

        p->archive = profile_store_create_scratch(rt->profiles->store);
        if (p->archive < 0)
                return p->archive;
        archive = fcntl(p->archive, F_DUPFD_CLOEXEC, 3);
        if (archive < 0)
                return -errno;
        return registry_pull(p->job, p->job->owner, &p->place, image_architecture(rt->limits.architecture), archive,
                FETCH_SHARE, &fetch_ops, p, &p->fetch);
}

int profile_pull(Profile *profile, uint32_t owner, const char *reference, Job **ret, Problem **ret_problem) {
        Runtime *rt = profile->runtime;
        RegistryPlace place;
        ProfilePull *p;
        int r;

        r = profiles_need_store(rt->profiles, ret_problem);
        if (r >= 0)
                r = registry_place(rt, reference, &place, ret_problem);
        if (r < 0)
                return r;
        r = job_new(rt, "pull", owner, ret, ret_problem);
        if (r < 0) {
                registry_place_clear(&place);
                return r;
        }
        (*ret)->profile = profile->name;
        job_announce(*ret);
        p = g_new0(ProfilePull, 1);
        *p = (ProfilePull){
                .profile = profile, .job = *ret, .place = place, .reference = g_strdup(reference), .archive = -1};
        job_set_cancel(*ret, on_cancel, p);
        r = pull_start(p);
        if (r < 0)
                pull_fail(p, "RegistryFailed", r, "the pull could not be begun");
        return 0;
}
