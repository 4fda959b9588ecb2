/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image of a VM that RunVM made before it was there. */
#include <errno.h>

#include "core/image.h"
#include "core/vm.h"

struct VMPull {
        VM *vm;
        Pull *pull;
        sd_event_source *later; /* says the problem */
        Problem *problem;
        WaiterDone done;
        void *userdata;
};

bool vm_must_pull(Runtime *rt, uint32_t owner, const VMSpec *spec) {
        return *spec->image && !image_find(rt, owner, spec->image) && image_can_be_pulled(rt, spec->image);
}

int vm_check_image(Runtime *rt, uint32_t owner, const VMSpec *spec, bool pull, Problem **ret_problem) {
        bool can_be_pulled = image_can_be_pulled(rt, spec->image);
        g_autofree char *shown = problem_quote(spec->image);

        if (*spec->root_directory || image_find(rt, owner, spec->image))
                return 0;
        if (pull && can_be_pulled)
                return pull_check(rt, owner, ret_problem);
        return problem_set(ret_problem, "NoSuchImage", "Image",
                "Image: you have no image %s; %s it first, or see ListImages", shown,
                can_be_pulled ? "pull or import" : "import");
}

static void pin_image(VM *vm, Image *image) {
        VMRecord *r = vm->record;

        vm_changing(vm, "ImageDigest");
        vm_changing(vm, "ImageHash");
        vm->runtime->observer->image_changing(image, "UsedBy", vm->runtime->observer_data);
        r->pulling = false;
        g_free(r->image_digest);
        g_free(r->image_hash);
        r->image_digest = g_strconcat("sha256:", image->hex, NULL);
        r->image_hash = g_strdup(image->root_hash);
}

VMPull *vm_pull_cancel(VMPull *p) {
        if (!p)
                return NULL;
        sd_event_source_disable_unref(p->later);
        problem_free(p->problem);
        (void) pull_cancel(p->pull);
        g_free(p);
        return NULL;
}

static void pull_end(VMPull *p, const Problem *problem) {
        WaiterDone done = p->done;
        void *userdata = p->userdata;

        done(problem, userdata);
        (void) vm_pull_cancel(p);
}

static void on_pulled(Image *image, const Problem *problem, void *userdata) {
        g_autoptr(Problem) own = NULL;
        VMPull *p = userdata;

        p->pull = NULL;
        if (!problem) {
                pin_image(p->vm, image);
                if (vm_save(p->vm) < 0)
                        problem = own = problem_new("NoSpace", NULL, "the VM's record could not be written");
        }
        pull_end(p, problem);
}

static int on_later(sd_event_source *source, void *userdata) {
        pull_end(userdata, ((VMPull *) userdata)->problem);
        return 0;
}

VMPull *vm_pull(VM *vm, Job *job, double to, WaiterDone done, void *userdata) {
        VMPull *p = g_new0(VMPull, 1);

        *p = (VMPull){.vm = vm, .done = done, .userdata = userdata};
        if (pull_new(vm->runtime, job, vm->record->owner, vm->record->spec->image,
                    image_architecture(vm->record->spec->architecture), to, on_pulled, p, &p->pull, &p->problem) < 0)
                (void) sd_event_add_defer(vm->runtime->event, &p->later, on_later, p);
        return p;
}
