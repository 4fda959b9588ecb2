/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* References as places in registries, with the configuration's word on them, and what mcp-fetch is told of them. */
#include "core/registry.h"

#include <string.h>

#include "core/logins.h"
#include "core/image.h"

void registry_place_clear(RegistryPlace *p) {
        image_reference_clear(&p->parts);
        g_clear_pointer(&p->repository, g_free);
}

int registry_place(Runtime *rt, const char *reference, RegistryPlace *ret, Problem **ret_problem) {
        g_autofree char *shown = problem_quote(reference);
        const Config *config = rt->config;

        *ret = (RegistryPlace){};
        if (image_reference_split(reference, &ret->parts) < 0)
                return problem_set(ret_problem, "InvalidName", NULL,
                        "%s is no image reference; expected registry/name[:tag][@sha256:hex], like "
                        "'registry.example.com/web:1'",
                        shown);
        ret->registry = ret->parts.registry ?: config->default_registry;
        if (!*ret->registry) {
                registry_place_clear(ret);
                return problem_set(ret_problem, "InvalidName", NULL,
                        "%s names no registry; expected registry/name[:tag][@sha256:hex], like "
                        "'docker.io/library/web:1', "
                        "or a DefaultRegistry= in runtime.conf",
                        shown);
        }
        ret->repository = g_strconcat(ret->registry, "/", ret->parts.path, NULL);
        ret->insecure = g_strv_contains((const char *const *) config->insecure_registries, ret->registry);
        return 0;
}

bool image_can_be_pulled(Runtime *rt, const char *reference) {
        RegistryPlace place;

        if (registry_place(rt, reference, &place, NULL) < 0)
                return false;
        registry_place_clear(&place);
        return true;
}

int registry_destination(
        Runtime *rt, const char *destination, const char *what, RegistryPlace *ret, Problem **ret_problem) {
        int r = registry_place(rt, destination, ret, ret_problem);

        if (r < 0 || !ret->parts.digest)
                return r;
        registry_place_clear(ret);
        return problem_set(ret_problem, "InvalidName", NULL,
                "destination: expected registry/name[:tag] without a digest: the %s has its own", what);
}

static int start(Job *job, uint32_t owner, const RegistryPlace *p, double from, double to, json_t *message,
        int archive, const FetchOps *ops, void *userdata, Fetch **ret) {
        const char *const names[] = {"archive", "credentials"};
        int fds[] = {archive, logins_open(job->runtime->logins, owner, p->registry)};

        return fetch_start(
                job->runtime, job, from, to, message, fds, names, fds[1] < 0 ? 1 : 2, ops, userdata, ret);
}

int registry_pull(Job *job, uint32_t owner, const RegistryPlace *p, const char *architecture, int archive, double to,
        const FetchOps *ops, void *userdata, Fetch **ret) {
        json_t *message = json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*, s:s, s:b}", "op", "pull", "skopeo",
                job->runtime->config->skopeo, "registry", p->registry, "repository", p->repository, "tag",
                p->parts.digest ? NULL : p->parts.tag, "digest", p->parts.digest, "architecture", architecture,
                "insecure", (int) p->insecure);

        return start(job, owner, p, 0, to, message, archive, ops, userdata, ret);
}

int registry_push(Job *job, uint32_t owner, const RegistryPlace *p, const char *digest, int archive, double from,
        const FetchOps *ops, void *userdata, Fetch **ret) {
        g_autofree char *destination = g_strconcat(p->repository, ":", p->parts.tag, NULL);
        json_t *message = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "op", "push", "skopeo",
                job->runtime->config->skopeo, "registry", p->registry, "destination", destination, "digest", digest,
                "insecure", (int) p->insecure);

        return start(job, owner, p, from, 1, message, archive, ops, userdata, ret);
}

Problem *registry_check_artifact(const RegistryPlace *p, const char *reference, const char *digest,
        const char *manifest, const char *artifact, const ArtifactKind *kind) {
        g_autofree char *type = artifact ? problem_quote(artifact) : NULL;

        if (p->parts.digest && strcmp(p->parts.digest, digest) != 0)
                return problem_new("DigestMismatch", NULL, "the registry answered with %s for %s", digest, reference);
        if (!artifact)
                return problem_new("UnsupportedImage", NULL, "%s is an image, not a %s; pull it without the option %s",
                        reference, kind->name, kind->option);
        if (strcmp(artifact, kind->type) != 0 && strcmp(artifact, kind->config_type) != 0)
                return problem_new("UnsupportedImage", NULL, "%s is an artifact of the type %s, not a %s (%s)",
                        reference, type, kind->description, kind->type);
        if (strcmp(digest, manifest) != 0)
                return problem_new("UnsupportedImage", NULL,
                        "%s is an index; a %s is pulled by its own tag or digest, here %s", reference, kind->name,
                        manifest);
        return NULL;
}
