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

static const FetchOps fetch_ops = {.done = on_done};

static void push_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the push was canceled");
        Push *p = userdata;

        (void) fetch_cancel(p->fetch);
        g_free(p);
        job_finish(j, problem);
}

int image_push(Image *i, const char *destination, Job **ret, Problem **ret_problem) {
        Runtime *rt = i->runtime;
        g_autofree char *digest = g_strconcat("sha256:", i->hex, NULL);
        _cleanup_close_ int archive = -1;
        RegistryPlace place;
        Push *p;
        Job *j;
        int r;

        r = registry_destination(rt, destination, "image", &place, ret_problem);
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
        r = registry_push(j, i->owner, &place, digest, take_fd(&archive), 0, &fetch_ops, p, &p->fetch);
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
