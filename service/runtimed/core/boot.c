/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a boot, step by step, with its undo list. */
#include "core/boot-private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/image-check.h"
#include "core/initrd.h"
#include "core/limits.h"
#include "core/nanos.h"
#include "core/network.h"
#include "core/profile.h"
#include "core/request.h"
#include "core/restart.h"
#include "core/storage.h"
#include "shared/crash-point.h"
#include "shared/fd.h"

static const struct {
        const char *stage;
        BootStep run;
} steps[STEPS] = {
        [STEP_STORAGE] = {"volumes", boot_step_storage},
        [STEP_ACCELERATOR] = {"accelerator", boot_step_accelerator},
        [STEP_PROFILE] = {"profile", boot_step_profile},
        [STEP_IMAGE] = {"image", boot_step_image},
        [STEP_INITRD] = {"initrd", boot_step_initrd},
        [STEP_TPM] = {"tpm", boot_step_tpm},
        [STEP_NETWORK] = {"network", boot_step_network},
        [STEP_MONITOR] = {"boot", boot_step_monitor},
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
        (void) close_fd(b->probes);
        g_free(b);
}

void boot_push_undo(Boot *b, BootUndo undo) {
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
static void finish_job(VM *vm, const Job *j, const Problem *problem) {
        if (j)
                vm_job_finish(vm, problem);
}

/* A step could not be done: everything before it is undone, the VM is failed. */
void boot_abort(Boot *b, const Problem *problem) {
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
        /* A start by request that fails is the caller's to see, and secrets that are missing stay so until there is
         * one. */
        if (vm->by_policy && strcmp(problem->error, "CredentialsMissing") != 0)
                (void) restart_retry(vm);
        (void) vm_save(vm);
        finish_job(vm, j, problem);
        vm_after_end(vm);
}

void boot_abort_errno(Boot *b, int r, const char *what) {
        const char *error = r == -ENOSPC || r == -EDQUOT ? "NoSpace" : "BuildFailed";
        g_autoptr(Problem) problem = problem_new(error, NULL, "%s: %s", what, g_strerror(-r));

        boot_abort(b, problem);
}

void boot_next(Boot *b) {
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

void boot_take_monitor(Boot *b) {
        boot_push_undo(b, boot_undo_monitor);
}

/* Steps may end at once; the bus queues their signals behind its reply. */
void boot_start(VM *vm) {
        Boot *b = g_new0(Boot, 1);

        *b = (Boot){.runtime = vm->runtime,
                .vm = vm,
                .job = vm->job,
                .root = -1,
                .tpm = -1,
                .bundle_dir = -1,
                .probes = -1};
        vm->boot = b;
        if (vm->monitor) /* its unit was started by hand */
                boot_take_monitor(b);
        vm->failure = NULL;
        g_clear_pointer(&vm->guest_error, g_free);
        vm_changing(vm, "StartedAt");
        vm->record->started_at = vm->running_since = 0; /* this boot has not run yet, and may never */
        limits_apply_at_start(vm);
        vm_set_state(vm, VM_PREPARING, "");
        if (vm->job)
                job_set_stage(vm->job, steps[0].stage);
        steps[0].run(b);
}
