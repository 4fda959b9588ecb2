/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a Nanos guest's disk to a registry: a worker packs it as an artifact that says of which image it is,
 * mcp-fetch sends that. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/builds.h"
#include "core/fetch.h"
#include "core/image-build.h"
#include "core/image-private.h"
#include "core/nanos.h"
#include "core/registry.h"
#include "core/work.h"
#include "shared/fd.h"

#define PACK_SHARE 0.4 /* of the progress; the rest is the push */

typedef struct DiskPush {
        Job *job;
        RegistryPlace place;
        char *destination, *key, *digest, *title; /* digest: of the image */
        int disk, archive;                        /* the archive has no name: it goes with us */
        Work *work;
        Fetch *fetch;
} DiskPush;

static void push_free(void *userdata) {
        DiskPush *p = userdata;

        (void) work_cancel(p->work);
        (void) fetch_cancel(p->fetch);
        registry_place_clear(&p->place);
        (void) close_fd(p->disk);
        (void) close_fd(p->archive);
        g_free(p->destination);
        g_free(p->key);
        g_free(p->digest);
        g_free(p->title);
        g_free(p);
}

static void push_end(DiskPush *p, const Problem *problem) {
        Job *j = p->job;

        push_free(p);
        job_finish(j, problem);
}

static void push_fail(DiskPush *p, const char *error, int r, const char *what) {
        g_autoptr(Problem) problem = image_problem(error, r, what);

        push_end(p, problem);
}

static void on_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the push was canceled");

        push_end(userdata, problem);
}

/* ---- 2. push ---- */

static void on_pushed(json_t *result, const Problem *problem, void *userdata) {
        DiskPush *p = userdata;

        p->fetch = NULL;
        push_end(p, problem);
}

static const FetchOps fetch_ops = {.done = on_pushed};

/* ---- 1. pack ---- */

static void on_packed(json_t *result, const Problem *problem, void *userdata) {
        DiskPush *p = userdata;
        const char *digest = json_string_value(json_object_get(result, "digest"));
        g_autofree char *text = NULL;
        int r;

        p->work = NULL;
        if (problem) {
                push_end(p, problem);
                return;
        }
        if (!digest || !digest_is_valid(digest)) {
                push_fail(p, "BuildFailed", -EBADMSG, "the worker gave no digest");
                return;
        }
        text = g_strdup_printf("%s becomes %s", p->destination, digest);
        job_log(p->job, 6, text);
        r = registry_push(p->job, p->job->owner, &p->place, digest, take_fd(&p->archive), PACK_SHARE, &fetch_ops, p,
                &p->fetch);
        if (r < 0)
                push_fail(p, "RegistryFailed", r, "mcp-fetch could not be started");
}

/* A file in the owner's directory that is gone when nobody has it open. */
static int create_scratch(DiskPush *p) {
        Store *store = p->job->runtime->store;
        g_autofree char *tmp = NULL;
        int fd = store_image_create(store, p->job->owner, &tmp);

        if (fd >= 0)
                store_image_discard(store, p->job->owner, tmp);
        return fd;
}

static int pack_start(DiskPush *p) {
        static const char *const names[] = {"disk", "archive"};
        int fds[2];

        p->archive = create_scratch(p);
        if (p->archive < 0)
                return p->archive;
        fds[1] = fcntl(p->archive, F_DUPFD_CLOEXEC, 3);
        if (fds[1] < 0)
                return -errno;
        fds[0] = take_fd(&p->disk);
        return work_start(p->job->runtime, p->job, 0, PACK_SHARE,
                json_pack("{s:s, s:s, s:s, s:s}", "op", "nanos-pack", "image", p->digest, "key", p->key, "title",
                        p->title),
                fds, names, 2, on_packed, p, &p->work);
}

static void on_turn(Job *j, void *userdata) {
        int r = pack_start(userdata);

        if (r < 0)
                push_fail(userdata, "BuildFailed", r, "the disk could not be packed");
}

/* ---- The beginning ---- */

static int find_disk(Runtime *rt, Image *image, const VMSpec *spec, const ImageBuild **ret, Problem **ret_problem) {
        g_autofree char *address = NULL, *gateway = NULL;
        NanosWish wish = {.spec = spec, .volumes = -1, .archives = -1};
        int r;

        r = image_build_address(rt, spec, &address, &gateway, ret_problem);
        if (r < 0)
                return r;
        wish.address = address;
        wish.gateway = gateway;
        *ret = nanos_find(image, &wish);
        if (*ret)
                return 0;
        return problem_set(ret_problem, "NoSuchImage", "Target",
                "Target: image %s has no disk for nanos with these values; BuildImage with the same makes it",
                image_reference(image));
}

int nanos_push(
        Runtime *rt, uint32_t owner, const VMSpec *spec, const char *destination, Job **ret, Problem **ret_problem) {
        Image *image = image_find(rt, owner, spec->image);
        _cleanup_close_ int disk = -1;
        const ImageBuild *build;
        RegistryPlace place;
        DiskPush *p;
        int r;

        if (!image)
                return problem_set(ret_problem, "NoSuchImage", "Image", "you have no such image");
        r = find_disk(rt, image, spec, &build, ret_problem);
        if (r >= 0)
                r = builds_check(rt, owner, ret_problem);
        if (r < 0)
                return r;
        disk = nanos_open(image, build->key);
        if (disk < 0)
                return problem_set(
                        ret_problem, "BuildFailed", NULL, "the disk cannot be opened: %s", g_strerror(-disk));
        r = registry_destination(rt, destination, "disk", &place, ret_problem);
        if (r < 0)
                return r;
        r = job_new(rt, "push", owner, ret, ret_problem);
        if (r < 0) {
                registry_place_clear(&place);
                return r;
        }
        (*ret)->reserved = build->size; /* what the archive may come to */
        image_name_job(image, *ret);
        job_announce(*ret);
        p = g_new(DiskPush, 1);
        *p = (DiskPush){.job = *ret,
                .place = place,
                .destination = g_strdup(destination),
                .key = g_strdup(build->key),
                .digest = g_strconcat("sha256:", image->hex, NULL),
                .title = g_strdup(image_reference(image)),
                .disk = take_fd(&disk),
                .archive = -1};
        job_set_cancel(*ret, on_cancel, p);
        builds_join(*ret, NULL, on_turn, push_free, p);
        return 0;
}
