/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a push: mcp-fetch sends the archive that is kept beside the image, blob by blob as it is. */
#include <errno.h>
#include <string.h>

#include "core/fetch.h"
#include "core/image-private.h"
#include "core/registry.h"
#include "shared/fd.h"

typedef struct Push {
        Job *job;
        Fetch *fetch;
} Push;

static void on_done(json_t *result, const Problem *problem, void *userdata) {
        Push *p = userdata;
        Job *j = p->job;

        g_free(p);
        job_finish(j, problem);
}

/* Nothing is to be resolved. */
static void on_resolved(
        Fetch *f, const char *digest, const char *manifest, uint64_t size, const char *artifact, void *userdata) {
}

static const FetchOps fetch_ops = {.resolved = on_resolved, .done = on_done};

static void push_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the push was canceled");
        Push *p = userdata;

        (void) fetch_cancel(p->fetch);
        g_free(p);
        job_finish(j, problem);
}

static int push_start(Push *p, Image *i, int *archive, const RegistryPlace *place) {
        g_autofree char *destination = g_strconcat(place->repository, ":", place->parts.tag, NULL);
        const char *names[2] = {"archive"};
        int fds[2] = {take_fd(archive), -1};
        json_t *message;
        size_t n;

        message = json_pack("{s:s, s:s, s:s, s:s, s:s+, s:b}", "op", "push", "skopeo", i->runtime->config->skopeo,
                "registry", place->registry, "destination", destination, "digest", "sha256:", i->hex, "insecure",
                (int) place->insecure);
        n = registry_add_credentials(i->runtime, i->owner, place, fds, names, 1);
        return fetch_start(i->runtime, p->job, 0, 1, message, fds, names, n, &fetch_ops, p, &p->fetch);
}

static int check_destination(Image *i, const char *destination, RegistryPlace *ret, Problem **ret_problem) {
        int r;

        r = registry_place(i->runtime, destination, ret, ret_problem);
        if (r >= 0 && ret->parts.digest) {
                registry_place_clear(ret);
                return problem_set(ret_problem, "InvalidName", NULL,
                        "destination: expected registry/name[:tag] without a digest: the image has its own");
        }
        return r;
}

int image_push(Image *i, const char *destination, Job **ret, Problem **ret_problem) {
        Runtime *rt = i->runtime;
        _cleanup_close_ int archive = -1;
        RegistryPlace place;
        Push *p;
        Job *j;
        int r;

        r = check_destination(i, destination, &place, ret_problem);
        if (r < 0)
                return r;
        archive = store_image_open_archive(rt->store, i->owner, i->hex);
        if (archive < 0)
                r = problem_set(ret_problem, "NotSupported", NULL,
                        "image %s was not kept in the form that a registry takes (KeepArchives= in runtime.conf); "
                        "import or pull it again",
                        image_reference(i));
        if (r >= 0)
                r = job_new(rt, "push", i->owner, &j, ret_problem);
        if (r < 0) {
                registry_place_clear(&place);
                return r;
        }
        image_name_job(i, j);
        job_announce(j);
        p = g_new0(Push, 1);
        *p = (Push){.job = j};
        r = push_start(p, i, &archive, &place);
        registry_place_clear(&place);
        if (r < 0) {
                g_autoptr(Problem) problem = image_problem("RegistryFailed", r, "mcp-fetch could not be started");

                g_free(p);
                job_finish(j, problem);
        } else
                job_set_cancel(j, push_cancel, p);
        *ret = j;
        return 0;
}
