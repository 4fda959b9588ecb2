/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a boot, step by step, with its undo list. */
#include "core/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/boot-plan.h"
#include "core/image-check.h"
#include "core/initrd.h"
#include "core/limits.h"
#include "core/nanos.h"
#include "core/network.h"
#include "core/profile.h"
#include "core/restart.h"
#include "core/share.h"
#include "core/storage.h"
#include "core/tpm.h"
#include "core/user-network.h"
#include "qemu/argv.h"
#include "qemu/machine-table.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/log-line.h"
#include "shared/log.h"

typedef void (*BootStep)(Boot *b);
typedef void (*BootUndo)(Boot *b);

enum {
        STEP_STORAGE,
        STEP_ACCELERATOR,
        STEP_PROFILE,
        STEP_IMAGE,
        STEP_INITRD,
        STEP_TPM,
        STEP_NETWORK,
        STEP_MONITOR,
        STEPS
};

#define PULL_SHARE 0.6 /* of the progress of a start that has to pull its image */

struct Boot {
        Runtime *runtime;
        VM *vm;
        Job *job;    /* the start's; NULL once a stop has taken over */
        size_t step; /* index of the step under way */
        BootUndo undo[STEPS + 1];
        size_t n_undo;
        Waiter *waiter; /* of the step under way */
        Storage *storage;
        int shares[SPEC_SHARES_MAX]; /* directories of the host */
        size_t n_shares;
        Kernel *kernel;
        VMPull *pull;     /* its image, see vm_is_pulling() */
        NanosBuild *disk; /* of a Nanos guest, being made */
        int root;         /* the root image that was found to be what was stored; then the Nanos guest's disk */
        Accelerator accelerator;
        ProfileBundle *bundle; /* the profile's own QEMU, or NULL: the host's */
        int bundle_dir;
        int network[NETD_QUEUES_MAX]; /* QEMU's side: a socket, or the queues of a TAP */
        size_t n_network;
        int tpm;                       /* QEMU's side */
        NetworkAttachment *attachment; /* asked of netd, not answered yet */
        sd_event_source *timer;        /* the guest must be up, or ready, by then */
        bool program;                  /* it was executed; the VM's readiness is waited for */
};

static void undo_monitor(Boot *b);
static void step_storage(Boot *b);
static void step_accelerator(Boot *b);
static void step_profile(Boot *b);
static void step_image(Boot *b);
static void step_initrd(Boot *b);
static void step_tpm(Boot *b);
static void step_network(Boot *b);
static void step_monitor(Boot *b);

static const struct {
        const char *stage;
        BootStep run;
} steps[STEPS] = {
        [STEP_STORAGE] = {"volumes", step_storage},
        [STEP_ACCELERATOR] = {"accelerator", step_accelerator},
        [STEP_PROFILE] = {"profile", step_profile},
        [STEP_IMAGE] = {"image", step_image},
        [STEP_INITRD] = {"initrd", step_initrd},
        [STEP_TPM] = {"tpm", step_tpm},
        [STEP_NETWORK] = {"network", step_network},
        [STEP_MONITOR] = {"boot", step_monitor},
};

static void boot_free(Boot *b) {
        b->vm->boot = NULL;
        sd_event_source_disable_unref(b->timer);
        if (b->waiter) {
                (void) waiter_cancel(b->waiter);
                image_drop_unwanted(b->runtime);
                initrd_drop_unwanted(b->runtime);
        }
        (void) vm_pull_cancel(b->pull);
        (void) storage_cancel(b->storage);
        for (size_t i = 0; i < b->n_shares; i++)
                (void) close_fd(b->shares[i]);
        profile_bundle_free(b->bundle);
        (void) close_fd(b->bundle_dir);
        kernel_free(b->kernel);
        (void) close_fd(b->root);
        (void) nanos_cancel(b->disk);
        (void) close_fd(b->tpm);
        (void) network_attach_cancel(b->attachment);
        for (size_t i = 0; i < b->n_network; i++)
                (void) close_fd(b->network[i]);
        g_free(b);
}

static void push_undo(Boot *b, BootUndo undo) {
        b->undo[b->n_undo++] = undo;
}

void boot_cancel(Boot *b) {
        while (b->n_undo > 0)
                b->undo[--b->n_undo](b);
        boot_free(b);
}

void boot_forget(Boot *b) {
        boot_free(b);
}

/* Ends the start's job, where it is still that. */
static void finish_job(VM *vm, Job *j, const Problem *problem) {
        if (!j)
                return;
        vm_changing(vm, "JobPath");
        vm->job = NULL;
        job_finish(j, problem);
}

/* A step could not be done: everything before it is undone, the VM is failed. */
static void boot_abort(Boot *b, const Problem *problem) {
        VM *vm = b->vm;
        g_autofree char *reason = NULL;
        Job *j = b->job;

        boot_cancel(b);
        if (vm_is_pulling(vm)) {
                finish_job(vm, j, problem);
                vm_discard(vm);
                return;
        }
        /* The text may tell of the spec, and is the job's owner's; the state's reason is everybody's. */
        reason = g_strdup_printf("the start failed: %s", problem->error);
        vm_set_health(vm, HEALTH_NONE);
        vm_set_state(vm, VM_FAILED, reason);
        /* A first start that fails is the caller's to see; a later one is tried again like any other. */
        if (vm->record->restart_count > 0)
                (void) restart_consider(vm, EXIT_CRASHED, 0);
        (void) vm_save(vm);
        finish_job(vm, j, problem);
}

static void boot_abort_errno(Boot *b, int r, const char *what) {
        const char *error = r == -ENOSPC || r == -EDQUOT ? "NoSpace" : "BuildFailed";
        g_autoptr(Problem) problem = problem_new(error, NULL, "%s: %s", what, g_strerror(-r));

        boot_abort(b, problem);
}

static void boot_next(Boot *b) {
        b->step++;
        if (b->job) {
                job_set_progress(b->job, (double) b->step / (STEPS + 1));
                job_set_stage(b->job, steps[b->step].stage);
        }
        steps[b->step].run(b);
}

void boot_failed(Boot *b, const Problem *problem) {
        VM *vm = b->vm;
        Job *j = b->job;

        boot_cancel(b);
        finish_job(vm, j, problem);
}

/* ---- 1. storage: first, for it reads what the caller of RunVM gives once ---- */

static void on_storage(const Problem *problem, void *userdata) {
        Boot *b = userdata;

        b->storage = NULL;
        if (problem)
                boot_abort(b, problem);
        else
                boot_next(b);
}

static void step_storage(Boot *b) {
        g_autoptr(Problem) problem = NULL;

        if (boot_check_tools(b->runtime, b->vm->record->spec, &problem) < 0 || vm_need_credentials(b->vm, &problem) < 0)
                boot_abort(b, problem);
        else if (shares_open(b->vm, b->shares, &b->n_shares, &problem) < 0)
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

static void step_accelerator(Boot *b) {
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

static void step_profile(Boot *b) {
        profile_ensure(
                profile_get(b->runtime, boot_profile(b->vm->record->spec, b->accelerator)), on_profile, b, &b->waiter);
}

/* ---- 4. image ---- */

static void on_image(const Problem *problem, void *userdata) {
        Boot *b = userdata;
        Image *image = vm_image(b->vm);
        g_autoptr(Problem) changed = NULL;

        b->waiter = NULL;
        if (!problem && (!image || !stamp_is_of(&image->stamp, b->root)))
                problem = changed =
                        problem_new("DigestMismatch", "Image", "the image was changed while it was verified");
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
                step_image(b);
}

static void step_image(Boot *b) {
        Image *image = vm_image(b->vm);
        bool sound;

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

static void step_initrd(Boot *b) {
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

/* ---- 6. TPM ---- */

static void undo_tpm(Boot *b) {
        tpm_stop(b->vm);
}

static void on_tpm(VM *vm, const Problem *problem) {
        if (problem)
                boot_abort(vm->boot, problem);
        else
                boot_next(vm->boot);
}

static void step_tpm(Boot *b) {
        int r;

        if (!boot_has_uefi(b->vm->record->spec)) {
                boot_next(b);
                return;
        }
        push_undo(b, undo_tpm);
        r = tpm_start(b->vm, on_tpm, &b->tpm);
        if (r < 0)
                boot_abort_errno(b, r, "the TPM's unit could not be started");
}

/* ---- 7. network ---- */

static void undo_user_network(Boot *b) {
        user_network_stop(b->vm);
}

void boot_networked(Boot *b) {
        if (b->step == STEP_NETWORK)
                boot_next(b);
}

void boot_network_failed(Boot *b, const Problem *problem) {
        if (b->step <= STEP_NETWORK)
                boot_abort(b, problem);
}

/* The VM's unit starts beside what is left to do, and its monitor waits for its orders. */
static int prepare_monitor(Boot *b) {
        g_autofree char *unit = NULL;

        if (b->vm->monitor) /* the unit was started by hand */
                return 0;
        unit = vm_unit(b->vm);
        push_undo(b, undo_monitor);
        return helper_prepare(b->runtime->launch, unit, &vm_monitor_ops, b->vm, &b->vm->monitor);
}

static void undo_attach(Boot *b) {
        network_detach(b->vm);
}

static void on_attached(int *fds, size_t n_fds, const Problem *problem, void *userdata) {
        Boot *b = userdata;

        b->attachment = NULL;
        if (problem) {
                boot_abort(b, problem);
                return;
        }
        b->n_network = MIN(n_fds, G_N_ELEMENTS(b->network));
        for (size_t i = 0; i < b->n_network; i++)
                b->network[i] = take_fd(&fds[i]);
        CRASH_POINT(START_TAP_HELD);
        boot_next(b);
}

static void step_network(Boot *b) {
        const VMSpec *spec = b->vm->record->spec;
        int pair[2], r;

        r = prepare_monitor(b);
        if (r < 0) {
                boot_abort_errno(b, r, "the VM's unit could not be started");
                return;
        }
        if (strcmp(spec->network, NETWORK_NONE) == 0) {
                boot_next(b);
                return;
        }
        if (network_is_bridge(spec->network)) {
                push_undo(b, undo_attach);
                network_attach(b->vm, boot_queues(spec), on_attached, b, &b->attachment);
                CRASH_POINT(START_TAP);
                return;
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
                boot_abort_errno(b, -errno, "the network's socket pair");
                return;
        }
        b->network[0] = pair[1];
        b->n_network = 1;
        push_undo(b, undo_user_network);
        r = user_network_start(b->vm, pair[0]);
        CRASH_POINT(START_PASST);
        if (r < 0)
                boot_abort_errno(b, r, "the network's unit could not be started");
}

/* ---- 8. monitor ---- */

static void undo_monitor(Boot *b) {
        b->vm->monitor = helper_free(b->vm->monitor);
        vm_end_unit(b->vm);
}

static int open_firmware(const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* Opens everything the monitor gets; fds and names in the order of launch-wire.h. Returns how many, or a negative
 * errno. */
static int collect_fds(Boot *b, const QEMUPlan *plan, int boot_message, int *fds, const char **names) {
        static const char *const logs[LOG_SEGMENTS] = {"log0", "log1", "log2"};
        const Machine *machine = machine_find(plan->architecture);
        Store *store = b->runtime->store;
        int n = 0, r = 0;

        for (unsigned i = 0; i < LOG_SEGMENTS; i++) {
                names[n] = logs[i];
                fds[n++] = store_vm_open(store, b->vm->name, logs[i], O_RDWR | O_CREAT);
        }
        names[n] = "exit";
        fds[n++] = store_vm_open(store, b->vm->name, "exit", O_RDWR | O_CREAT | O_TRUNC);
        if (qemu_boot_in_initrd(plan)) {
                names[n] = "boot";
                fds[n++] = fcntl(boot_message, F_DUPFD_CLOEXEC, 3);
        }
        if (plan->uefi) {
                names[n] = "vars-template";
                fds[n++] = open_firmware(machine->uefi->vars);
        }
        for (QEMUSlot slot = 0; slot < QEMU_SLOT_MAX; slot++) {
                if (qemu_slot_fd(plan, slot) < 0)
                        continue;
                names[n] = "qemu";
                switch (slot) {
                case QEMU_SLOT_KERNEL:
                        fds[n++] = fcntl(b->kernel->image, F_DUPFD_CLOEXEC, 3);
                        break;
                case QEMU_SLOT_INITRD:
                        fds[n++] = store_cache_open(store, b->kernel->cache_key);
                        break;
                case QEMU_SLOT_BOOT:
                        fds[n++] = fcntl(boot_message, F_DUPFD_CLOEXEC, 3);
                        break;
                case QEMU_SLOT_CREDENTIALS:
                        fds[n++] = fcntl(b->vm->payload.credentials, F_DUPFD_CLOEXEC, 3);
                        break;
                case QEMU_SLOT_VOLUMES:
                        fds[n++] = storage_open_volumes(b->vm);
                        break;
                case QEMU_SLOT_SHARES:
                        for (size_t i = 0; i < b->n_shares; i++) {
                                names[n] = "qemu";
                                fds[n++] = take_fd(&b->shares[i]);
                        }
                        break;
                case QEMU_SLOT_DISKS:
                        for (size_t i = 0; i < b->vm->record->spec->n_disks; i++) {
                                names[n] = "qemu";
                                fds[n++] = store_disk_open(
                                        store, vm_owner(b->vm), b->vm->record->spec->disks[i].name);
                        }
                        break;
                case QEMU_SLOT_ARCHIVES:
                        fds[n++] = storage_open_archives(b->vm);
                        break;
                case QEMU_SLOT_CODE:
                        fds[n++] = open_firmware(machine->uefi->code);
                        break;
                case QEMU_SLOT_VARS:
                        fds[n++] = store_vm_open(store, b->vm->name, "uefi-vars", O_RDWR | O_CREAT);
                        break;
                case QEMU_SLOT_TPM:
                        fds[n++] = take_fd(&b->tpm);
                        break;
                case QEMU_SLOT_BUNDLE:
                        fds[n++] = take_fd(&b->bundle_dir);
                        break;
                case QEMU_SLOT_ROOT:
                        fds[n++] = take_fd(&b->root);
                        break;
                default:
                        for (size_t i = 0; i < b->n_network; i++) {
                                names[n] = "qemu";
                                fds[n++] = take_fd(&b->network[i]);
                        }
                        break;
                }
        }
        for (int i = 0; i < n; i++)
                if (fds[i] < 0)
                        r = fds[i];
        if (r < 0)
                for (int i = 0; i < n; i++)
                        fds[i] = close_fd(fds[i]);
        return r < 0 ? r : n;
}

/* Neither ready nor gone: the guest is ended, and the boot with it. */
static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        Boot *b = userdata;

        b->vm->failure = BOOT_TIMEOUT_TEXT;
        vm_end_now(b->vm);
        return 0;
}

/* The record says what is about to run before it runs: a daemon that dies now finds its VM again. */
static int record_boot(Boot *b) {
        VMRecord *record = b->vm->record;

        vm_changing(b->vm, "BootId");
        vm_changing(b->vm, "ExitReason");
        vm_changing(b->vm, "ExitCode");
        vm_changing(b->vm, "Accelerator");
        vm_changing(b->vm, "Profile");
        record->boot_id++;
        record->exit_reason = EXIT_NONE;
        record->exit_code = 0;
        g_free(record->host_boot);
        record->host_boot = g_strdup(b->runtime->host_boot);
        g_free(record->accelerator);
        record->accelerator = g_strdup(accelerator_to_string(b->accelerator));
        g_free(record->profile);
        record->profile = g_strdup(profile_to_string(boot_profile(record->spec, b->accelerator)));
        vm_set_state(b->vm, VM_STARTING, "");
        if (b->vm->record->spec->health.kind != PROBE_NONE)
                vm_set_health(b->vm, HEALTH_STARTING);
        return vm_save(b->vm);
}

static void step_monitor(Boot *b) {
        VM *vm = b->vm;
        g_autoptr(Problem) problem = NULL;
        g_auto(GStrv) argv = NULL;
        g_autofree char *mac = NULL;
        _cleanup_close_ int boot_message = -1;
        int fds[LAUNCH_FDS_MAX], n, r;
        const char *names[LAUNCH_FDS_MAX];
        json_t *message;
        QEMUPlan plan;

        if (!spec_is_nanos(vm->record->spec))
                boot_message = boot_message_memfd(b->runtime, vm, &problem);
        if (problem) {
                boot_abort(b, problem);
                return;
        }
        boot_plan(b->runtime, vm->name, vm->record->uuid, vm->record->spec, b->accelerator, &plan, &mac);
        plan.bundle = b->bundle ? &b->bundle->bundle : NULL;
        argv = qemu_argv(&plan);
        n = collect_fds(b, &plan, boot_message, fds, names);
        if (n < 0) {
                boot_abort_errno(b, n, "the VM's files could not be opened");
                return;
        }
        CRASH_POINT(START_FILES);
        r = record_boot(b);
        CRASH_POINT(START_RECORDED);
        if (r < 0) {
                for (int i = 0; i < n; i++)
                        (void) close_fd(fds[i]);
                boot_abort_errno(b, r, "the VM's record could not be written");
                return;
        }
        message = boot_launch_message(vm, argv);
        if (plan.bundle)
                (void) json_object_set_new(message, "environment", boot_qemu_environment(&plan));
        if (qemu_boot_in_initrd(&plan))
                (void) json_object_set_new(message, "boot_in", json_integer(QEMU_SLOT_INITRD));
        if (plan.uefi)
                (void) json_object_set_new(
                        message, "vars", json_integer(qemu_slot_fd(&plan, QEMU_SLOT_VARS) - QEMU_FD_FIRST));
        r = helper_launch(vm->monitor, message, fds, names, (size_t) n);
        if (r >= 0)
                r = sd_event_add_time_relative(b->runtime->event, &b->timer, CLOCK_MONOTONIC,
                        b->runtime->config->boot_timeout, 0, on_timeout, b);
        CRASH_POINT(START_UNIT);
        if (r < 0)
                boot_abort_errno(b, r, "the VM's unit could not be started");
}

bool boot_is_launched(const Boot *b) {
        return b->step == STEP_MONITOR && b->vm->monitor && helper_is_connected(b->vm->monitor);
}

bool boot_awaits_port(const Boot *b) {
        return b->attachment != NULL;
}

void boot_release_job(Boot *b) {
        b->job = NULL;
}

void boot_running(Boot *b) {
        if (b->job)
                job_set_stage(b->job, "guest");
}

/* The VM runs and goes on doing so; the job ends as it may. */
static void boot_leave(Boot *b, const Problem *problem) {
        VM *vm = b->vm;
        Job *j = b->job;

        CRASH_POINT(START_READY);
        b->n_undo = 0;
        boot_free(b);
        finish_job(vm, j, problem);
}

static int on_not_ready(sd_event_source *source, uint64_t usec, void *userdata) {
        Boot *b = userdata;
        g_autoptr(Problem) problem = problem_new("Timeout", "Ready",
                "Ready: the VM runs, and was not ready within %" G_GUINT64_FORMAT " microseconds (Ready's StartPeriod)",
                b->vm->record->spec->ready.start_period);

        boot_leave(b, problem);
        return 0;
}

void boot_program(Boot *b) {
        const Probe *ready = &b->vm->record->spec->ready;

        if (!b->vm->wait_ready || b->vm->ready || ready->kind == PROBE_NONE) {
                boot_leave(b, NULL);
                return;
        }
        if (b->program)
                return;
        b->program = true;
        if (b->job)
                job_set_stage(b->job, "ready");
        b->timer = sd_event_source_disable_unref(b->timer);
        if (sd_event_add_time_relative(
                    b->runtime->event, &b->timer, CLOCK_MONOTONIC, ready->start_period, 0, on_not_ready, b) < 0)
                boot_leave(b, NULL);
}

/* Steps may end at once; the bus queues their signals behind its reply. */
void boot_start(VM *vm) {
        Boot *b = g_new0(Boot, 1);

        *b = (Boot){.runtime = vm->runtime, .vm = vm, .job = vm->job, .root = -1, .tpm = -1, .bundle_dir = -1};
        vm->boot = b;
        if (vm->monitor) /* its unit was started by hand */
                push_undo(b, undo_monitor);
        vm->failure = NULL;
        g_clear_pointer(&vm->guest_error, g_free);
        limits_apply_at_start(vm);
        vm_set_state(vm, VM_PREPARING, "");
        if (vm->job)
                job_set_stage(vm->job, steps[0].stage);
        steps[0].run(b);
}
