/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* References as places in registries, with the configuration's word on them. */
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

size_t registry_add_credentials(
        Runtime *rt, uint32_t owner, const RegistryPlace *p, int *fds, const char **names, size_t n) {
        int fd = logins_open(rt->logins, owner, p->registry);

        if (fd < 0)
                return n;
        names[n] = "credentials";
        fds[n] = fd;
        return n + 1;
}
