/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps of a boot before anything of it runs: its files, its accelerator, its QEMU, its kernel. */
#include "core/boot-private.h"

#include "core/boot-plan.h"
#include "core/image-check.h"
#include "core/initrd.h"
#include "core/nanos.h"
#include "core/network.h"
#include "core/profile.h"
#include "core/share.h"
#include "core/storage.h"
#include "shared/crash-point.h"
#include "shared/fd.h"

#define PULL_SHARE 0.6 /* of the progress of a start that has to pull its image */

/* ---- 1. storage: first, for it reads what the caller of RunVM gives once ---- */

static void on_storage(const Problem *problem, void *userdata) {
        Boot *b = userdata;

        b->storage = NULL;
        if (problem)
                boot_abort(b, problem);
        else
                boot_next(b);
}

/* In place of an image: the step of that has nothing to do then. */
static int open_root_directory(Boot *b, Problem **ret_problem) {
        if (*b->vm->record->spec->root_directory)
                b->root = root_directory_open(b->vm, ret_problem);
        return *b->vm->record->spec->root_directory ? b->root : 0;
}

void boot_step_storage(Boot *b) {
        g_autoptr(Problem) problem = NULL;

        if (boot_check_tools(b->runtime, vm_owner(b->vm), b->vm->record->spec, &problem) < 0 ||
                vm_need_credentials(b->vm, &problem) < 0)
                boot_abort(b, problem);
        else if (shares_open(b->vm, b->shares, &b->n_shares, &problem) < 0 || open_root_directory(b, &problem) < 0)
                boot_abort(b, problem);
        else
                storage_ensure(b->vm, on_storage, b, &b->storage);
}

/* ---- 2. accelerator ---- */

static void on_kvm_known(const Problem *problem, void *userdata) {
        Boot *b = userdata;
        Runtime *rt = b->runtime;
        const VMSpec *spec = b->vm->record->spec;

        b->waiter = NULL;
        if (boot_must_use_kvm(spec) && rt->kvm != KVM_USABLE) {
                g_autoptr(Problem) p =
                        spec->accelerator == ACCELERATOR_KVM
                                ? problem_new("NoAcceleration", "Accelerator",
                                          "Accelerator: kvm cannot be used on this host (%s); use auto or tcg",
                                          rt->kvm_text)
                                : problem_new("NoAcceleration", "Profile",
                                          "Profile: '%s' needs KVM, which cannot be used on this host (%s); "
                                          "Accelerator tcg "
                                          "emulates it",
                                          spec->profile, rt->kvm_text);

                boot_abort(b, p);
                return;
        }
        b->accelerator = rt->kvm == KVM_USABLE ? ACCELERATOR_KVM : ACCELERATOR_TCG;
        if (b->accelerator == ACCELERATOR_TCG && b->job)
                job_log(b->job, 6, rt->kvm_text);
        boot_next(b);
}

void boot_step_accelerator(Boot *b) {
        if (!boot_may_use_kvm(b->vm->record->spec)) {
                b->accelerator = ACCELERATOR_TCG;
                boot_next(b);
                return;
        }
        runtime_probe_kvm(b->runtime, on_kvm_known, b, &b->waiter);
}

/* ---- 3. profile ---- */

/* What the profile is served by is settled here: a manifest that comes later is the next boot's. */
static void on_profile(const Problem *problem, void *userdata) {
        Boot *b = userdata;
        const VMSpec *spec = b->vm->record->spec;
        Profile *profile = profile_get(b->runtime, boot_profile(spec, b->accelerator));
        g_autoptr(Problem) missing = NULL;
        ProfilePaths paths = {};
        int r = 0;

        b->waiter = NULL;
        if (!problem)
                r = profile_resolve(profile, spec->architecture, &paths, &missing);
        if (r >= 0 && paths.assembled) {
                b->bundle = profile_bundle(profile, spec->architecture);
                r = b->bundle_dir = profile_open(profile);
        }
        profile_paths_clear(&paths);
        if (problem || missing) {
                boot_abort(b, problem ?: missing);
                return;
        }
        if (r < 0) {
                boot_abort_errno(b, r, "the profile's QEMU could not be opened");
                return;
        }
        g_free(b->vm->record->profile_digest); /* the assembly stays as long as the VM is active */
        b->vm->record->profile_digest = g_strdup(b->bundle ? b->bundle->digest : "");
        boot_next(b);
}

void boot_step_profile(Boot *b) {
        profile_ensure(
                profile_get(b->runtime, boot_profile(b->vm->record->spec, b->accelerator)), on_profile, b, &b->waiter);
}

/* ---- 4. image ---- */

static void on_image(const Problem *problem, void *userdata) {
        Boot *b = userdata;
        Image *image = vm_image(b->vm);
        g_autoptr(Problem) changed = NULL;

        b->waiter = NULL;
        if (!problem && image_check_kept(image, b->root, &changed) < 0)
                problem = changed;
        if (problem)
                boot_abort(b, problem);
        else
                boot_next(b);
}

/* Its own image came, or it did not. */
static void on_pulled(const Problem *problem, void *userdata) {
        Boot *b = userdata;

        b->pull = NULL;
        if (problem)
                boot_abort(b, problem);
        else
                boot_step_image(b);
}

void boot_step_image(Boot *b) {
        Image *image = vm_image(b->vm);
        bool sound;

        if (*b->vm->record->spec->root_directory) {
                boot_next(b);
                return;
        }
        if (vm_is_pulling(b->vm)) {
                b->pull = vm_pull(b->vm, b->job, PULL_SHARE, on_pulled, b);
                return;
        }
        if (!image) {
                g_autoptr(Problem) p = problem_new("NoSuchImage", "Image", "the image of VM '%s' (%s) is gone",
                        b->vm->name, b->vm->record->image_digest);

                boot_abort(b, p);
                return;
        }
        b->root = image_open(image, &sound);
        if (b->root < 0)
                boot_abort_errno(b, b->root, "the root image cannot be opened; import the image again");
        else
                image_ensure(image, b->root, on_image, b, &b->waiter);
}

/* ---- 5. initrd ---- */

static void on_initrd(const Problem *problem, void *userdata) {
        Boot *b = userdata;

        b->waiter = NULL;
        if (problem)
                boot_abort(b, problem);
        else
                boot_next(b);
}

static void on_disk(const ImageBuild *build, const Problem *problem, void *userdata) {
        Boot *b = userdata;
        VM *vm = b->vm;

        b->disk = NULL;
        if (problem) {
                boot_abort(b, problem);
                return;
        }
        (void) close_fd(b->root);
        b->root = nanos_open(vm_image(vm), build->key);
        if (b->root < 0) {
                boot_abort_errno(b, b->root, "the guest's disk cannot be opened");
                return;
        }
        vm_changing(vm, "ImageHash");
        g_free(vm->record->image_hash);
        vm->record->image_hash = g_strdup(build->hash);
        boot_next(b);
}

/* A Nanos guest has neither kernel nor initrd of the host's: all it is lies on its disk. */
static void step_disk(Boot *b) {
        VM *vm = b->vm;
        g_autofree char *address = NULL, *gateway = NULL;
        _cleanup_close_ int volumes = *vm->record->spec->volumes ? storage_open_volumes(vm) : -1;
        _cleanup_close_ int archives = *vm->record->spec->archives ? storage_open_archives(vm) : -1;
        NanosWish wish = {.spec = vm->record->spec, .volumes = volumes, .archives = archives};

        if ((*wish.spec->volumes && volumes < 0) || (*wish.spec->archives && archives < 0)) {
                boot_abort_errno(b, MIN(volumes, archives), "the images of the volumes cannot be opened");
                return;
        }
        if (network_is_bridge(wish.spec->network) && network_guest_addresses(vm, &address, &gateway)) {
                wish.address = address;
                wish.gateway = gateway;
        }
        nanos_ensure(vm_image(vm), b->root, &wish, b->job, (double) b->step / (STEPS + 1),
                (double) (b->step + 1) / (STEPS + 1), on_disk, b, &b->disk);
}

void boot_step_initrd(Boot *b) {
        const VMSpec *spec = b->vm->record->spec;
        g_autoptr(Problem) problem = NULL;

        CRASH_POINT(START_INITRD);
        if (spec_is_nanos(spec)) {
                step_disk(b);
                return;
        }
        if (kernel_find(b->runtime->config, spec->architecture, spec->kernel, boot_kernel_needs(spec), &b->kernel,
                    &problem) < 0) {
                boot_abort(b, problem);
                return;
        }
        initrd_ensure(b->runtime, b->kernel, on_initrd, b, &b->waiter);
}
