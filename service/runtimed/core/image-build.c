/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A build ahead of time: the same steps that a boot takes, without the boot. */
#include "core/image-build.h"

#include <errno.h>
#include <string.h>

#include "core/boot-plan.h"
#include "core/builds.h"
#include "core/image-check.h"
#include "core/image-private.h"
#include "core/initrd.h"
#include "core/nanos.h"
#include "core/network.h"
#include "core/quota.h"
#include "shared/fd.h"

#define VERIFY_SHARE 0.2 /* of the progress */

typedef struct Build {
        Job *job;
        VMSpec *spec;
        char *image_id, *address, *gateway;
        int root;
        Waiter *waiter;
        NanosBuild *disk;
        Kernel *kernel;
} Build;

static void build_free(Build *b) {
        Runtime *rt = b->job->runtime;

        if (b->waiter) {
                (void) waiter_cancel(b->waiter);
                image_drop_unwanted(rt);
                initrd_drop_unwanted(rt);
        }
        (void) nanos_cancel(b->disk);
        kernel_free(b->kernel);
        vm_spec_free(b->spec);
        g_free(b->image_id);
        g_free(b->address);
        g_free(b->gateway);
        (void) close_fd(b->root);
        g_free(b);
}

static void build_end(Build *b, const Problem *problem) {
        Job *j = b->job;

        build_free(b);
        job_finish(j, problem);
}

static void build_drop(void *userdata) {
        build_free(userdata);
}

static void build_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) p = problem_new("Canceled", NULL, "the build was canceled");

        build_end(userdata, p);
}

static void on_disk(const ImageBuild *build, const Problem *problem, void *userdata) {
        Build *b = userdata;

        b->disk = NULL;
        build_end(b, problem);
}

static void on_initrd(const Problem *problem, void *userdata) {
        Build *b = userdata;

        b->waiter = NULL;
        build_end(b, problem);
}

static void make(Build *b, Image *image) {
        NanosWish wish = {.spec = b->spec, .address = b->address, .gateway = b->gateway, .volumes = -1, .archives = -1};
        g_autoptr(Problem) problem = NULL;

        if (spec_is_nanos(b->spec))
                nanos_ensure(image, b->root, &wish, b->job, VERIFY_SHARE, 1, on_disk, b, &b->disk);
        else if (kernel_find(b->job->runtime->config, b->spec->architecture, b->spec->kernel, boot_kernel_needs(b->spec),
                         &b->kernel, &problem) < 0)
                build_end(b, problem);
        else
                initrd_ensure(b->job->runtime, b->kernel, on_initrd, b, &b->waiter);
}

static void on_verified(const Problem *problem, void *userdata) {
        Build *b = userdata;
        Image *image = g_hash_table_lookup(b->job->runtime->images, b->image_id);
        g_autoptr(Problem) changed = NULL;

        b->waiter = NULL;
        if (!problem && image_check_kept(image, b->root, &changed) < 0)
                problem = changed;
        if (problem)
                build_end(b, problem);
        else
                make(b, image);
}

static void on_turn(Job *j, void *userdata) {
        Build *b = userdata;
        Image *image = g_hash_table_lookup(j->runtime->images, b->image_id);
        g_autoptr(Problem) problem = NULL;
        bool sound;

        b->root = image ? image_open(image, &sound) : -ENOENT;
        if (b->root < 0) {
                problem = image_problem("NoSuchImage", b->root, "the image cannot be opened");
                build_end(b, problem);
                return;
        }
        image_ensure(image, b->root, on_verified, b, &b->waiter);
}

int image_build_address(Runtime *rt, const VMSpec *spec, char **ret, char **ret_gateway, Problem **ret_problem) {
        const Network *n;

        if (!spec_is_nanos(spec) || !network_is_bridge(spec->network))
                return 0;
        n = network_find(rt, spec->network);
        if (!n)
                return problem_set(ret_problem, "NoSuchNetwork", "Network",
                        "Network: there is no network '%s'; expected user, none or one of ListNetworks", spec->network);
        if (!*spec->address)
                return problem_set(ret_problem, "InvalidSpec", "Address",
                        "Address: a guest of Target 'nanos' on network '%s' has its address in its disk; name it, or "
                        "leave Network out",
                        spec->network);
        *ret = g_strdup_printf("%s/%u", spec->address, n->spec->subnet.prefix);
        *ret_gateway = ipv4_to_string(n->spec->gateway);
        return 0;
}

int image_build(Runtime *rt, uint32_t owner, const VMSpec *spec, Job **ret, Problem **ret_problem) {
        Image *image = image_find(rt, owner, spec->image);
        g_autofree char *address = NULL, *gateway = NULL;
        Build *b;
        Job *j;
        int r;

        if (!image) {
                g_autofree char *shown = problem_quote(spec->image);

                return problem_set(ret_problem, "NoSuchImage", "Image", "you have no image %s", shown);
        }
        r = spec_is_nanos(spec) ? nanos_check_tools(rt, ret_problem) : 0;
        if (r >= 0)
                r = image_build_address(rt, spec, &address, &gateway, ret_problem);
        if (r >= 0)
                r = builds_check(rt, owner, ret_problem);
        if (r >= 0)
                r = job_new(rt, "build", owner, &j, ret_problem);
        if (r < 0)
                return r;
        j->image = g_strdup(image_reference(image));
        j->image_id = g_strdup(image->id);
        b = g_new(Build, 1);
        *b = (Build){.job = j,
                .spec = vm_spec_copy(spec),
                .image_id = g_strdup(image->id),
                .address = g_steal_pointer(&address),
                .gateway = g_steal_pointer(&gateway),
                .root = -1};
        job_set_cancel(j, build_cancel, b);
        job_announce(j);
        builds_join(j, NULL, on_turn, build_drop, b);
        *ret = j;
        return 0;
}
