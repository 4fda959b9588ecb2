/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs of a VM: start, stop, remove as jobs; kill, pause, resume as requests to its monitor (core/request.c). */
#include <signal.h>
#include <string.h>

#include "core/boot-plan.h"
#include "core/boot.h"
#include "core/disk.h"
#include "core/image.h"
#include "core/network.h"
#include "core/quota.h"
#include "core/request.h"
#include "core/restart.h"
#include "core/storage.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/log.h"
#include "shared/signal-names.h"

#define STOP_GRACE_USEC (10ULL * G_USEC_PER_SEC) /* beyond the ladder's own time */

/* The monitor had its time: nothing of the unit is left to itself. */
static int on_stop_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        VM *vm = userdata;
        g_autofree char *unit = vm_unit(vm);

        vm->stop_timer = sd_event_source_unref(vm->stop_timer);
        log_warning("%s: its monitor did not end it in time, the unit is killed", vm->name);
        vm->unit_killed = true;
        systemd_kill_and_forget(vm->runtime->systemd, unit);
        systemd_stop_and_forget(vm->runtime->systemd, unit);
        return 0;
}

/* The shortest time that was asked for counts. */
static void arm_stop_timer(VM *vm, uint64_t timeout) {
        uint64_t due = now_monotonic() + timeout + STOP_GRACE_USEC, before;

        if (vm->stop_timer && sd_event_source_get_time(vm->stop_timer, &before) >= 0 && before <= due)
                return;
        vm->stop_timer = sd_event_source_disable_unref(vm->stop_timer);
        (void) sd_event_add_time(
                vm->runtime->event, &vm->stop_timer, CLOCK_MONOTONIC, due, G_USEC_PER_SEC, on_stop_timeout, vm);
}

int vm_request(VM *vm, const char *type, const char *signal, VMDone done, void *userdata, Problem **ret_problem) {
        bool for_end = signal && signal_from_name(signal) == SIGKILL;
        json_t *message;
        int r;

        if (!vm_state_is_active(vm_state(vm)) || vm_state(vm) == VM_PREPARING || !vm->monitor ||
                !helper_is_connected(vm->monitor))
                return request_fail_state(vm, type, ret_problem);
        message = json_pack("{s:s, s:s*}", "type", type, "signal", signal);
        r = (for_end ? request_end : request_send)(vm, message, done, userdata);
        if (r < 0)
                return problem_set(
                        ret_problem, "Busy", NULL, "the VM's monitor does not take the request: %s", g_strerror(-r));
        if (for_end) { /* wanted down, as by a stop */
                vm->end_asked = true;
                vm->record->wanted = false;
                (void) vm_save(vm);
                arm_stop_timer(vm, 0);
        }
        return 0;
}

static int fail_broken(VM *vm, Problem **ret_problem) {
        return problem_set(ret_problem, "NotSupported", NULL,
                "the record of VM '%s' is broken (%s); it can only be removed", vm->name, vm->broken);
}

/* One end of a stream for the monitor, the other is the caller's. Takes the reference of message. */
static int open_stream(VM *vm, const char *verb, json_t *message, int fd, VMDone done, void *userdata,
        Problem **ret_problem) {
        int r;

        if (!vm_state_has_guest(vm_state(vm)) || !vm->monitor || !helper_is_connected(vm->monitor)) {
                json_decref(message);
                return request_fail_state(vm, verb, ret_problem);
        }
        r = request_send_fd(vm, message, fd, done, userdata);
        if (r < 0)
                return problem_set(
                        ret_problem, "Busy", NULL, "the VM's monitor does not take the request: %s", g_strerror(-r));
        return 0;
}

int vm_open_console(VM *vm, int fd, bool write, VMDone done, void *userdata, Problem **ret_problem) {
        json_t *message = json_pack("{s:s, s:[s], s:b}", "type", "console", "fds", "console", "write", (int) write);

        return open_stream(vm, "OpenConsole", message, fd, done, userdata, ret_problem);
}

int vm_open_display(VM *vm, int fd, VMDone done, void *userdata, Problem **ret_problem) {
        if (!vm->record)
                return fail_broken(vm, ret_problem);
        if (!boot_has_uefi(vm->record->spec))
                return problem_set(ret_problem, "NotSupported", NULL,
                        "OpenDisplay: VM '%s' has no display; a machine of Profile 'kvm-uefi' has one", vm->name);
        return open_stream(vm, "OpenDisplay", json_pack("{s:s, s:[s]}", "type", "display", "fds", "display"), fd, done,
                userdata, ret_problem);
}

/* ---- Jobs ---- */

static int vm_job(VM *vm, const char *kind, uint32_t caller, Job **ret, Problem **ret_problem) {
        Runtime *rt = vm->runtime;
        Job *j;
        int r;

        r = job_new(rt, kind, caller, &j, ret_problem);
        if (r < 0)
                return r;
        j->vm = g_strdup(vm->name);
        vm_changing(vm, "JobPath");
        vm->job = j;
        job_announce(j);
        *ret = j;
        return 0;
}

void vm_job_finish(VM *vm, const Problem *problem) {
        Job *j = vm->job;

        if (!j)
                return;
        vm_changing(vm, "JobPath");
        vm->job = NULL;
        job_finish(j, problem);
}

static void begin_stop(VM *vm, uint64_t timeout, const char *why);

static void start_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the start was canceled");
        VM *vm = userdata;

        if (boot_is_launched(vm->boot)) { /* QEMU runs: its end is an end like any other */
                boot_release_job(vm->boot);
                vm_job_finish(vm, problem);
                begin_stop(vm, 0, "the start was canceled");
                return;
        }
        vm->end_asked = true;
        vm->record->wanted = false;
        boot_cancel(vm->boot);
        if (vm_is_pulling(vm)) {
                vm_job_finish(vm, problem);
                vm_discard(vm);
                return;
        }
        vm_set_state(vm, VM_STOPPED, "the start was canceled");
        (void) vm_save(vm);
        vm_job_finish(vm, problem);
        vm_after_end(vm);
}

static int check_start(VM *vm, Problem **ret_problem) {
        if (!vm->record)
                return fail_broken(vm, ret_problem);
        if (!vm_state_is_startable(vm_state(vm)))
                return problem_set(ret_problem, "VMRunning", NULL, "VM '%s' is %s already", vm->name,
                        vm_state_to_string(vm_state(vm)));
        if (vm->job)
                return problem_set(ret_problem, "Busy", NULL, "job %u (%s) is under way for VM '%s'", vm->job->id,
                        vm->job->kind, vm->name);
        if (vm_is_pulling(vm) || *vm->record->spec->root_directory) /* its image comes with the start, or it has none */
                return quota_check_start(vm, ret_problem);
        if (!*vm->record->image_digest) {
                vm_changing(vm, "ImageDigest");
                vm_changing(vm, "ImageHash");
                vm_record_resolve_image(vm->runtime, vm->record);
        }
        if (!*vm->record->image_digest)
                return problem_set(ret_problem, "NoSuchImage", "Image",
                        "Image: %s is not here; pull or import it under that name first", vm->record->spec->image);
        return quota_check_start(vm, ret_problem);
}

/* A start for whatever reason; the job is the caller's. */
static int begin_start(VM *vm, uint32_t caller, Job **ret, Problem **ret_problem) {
        Job *j;
        int r;

        r = check_start(vm, ret_problem);
        if (r >= 0)
                r = vm_job(vm, "start", caller, &j, ret_problem);
        if (r < 0)
                return r;
        (void) restart_cancel(vm);
        vm->end_asked = false;
        job_set_cancel(j, start_cancel, vm);
        CRASH_POINT(START_JOB);
        *ret = j;
        return 0;
}

int vm_start(VM *vm, uint32_t caller, SpecPayload *payload, bool wait_ready, Job **ret, Problem **ret_problem) {
        int r;

        r = check_start(vm, ret_problem);
        if (r >= 0)
                r = vm_take_credentials(vm, payload, ret_problem);
        if (r >= 0)
                r = vm_need_credentials(vm, ret_problem);
        if (r >= 0 && payload && payload->refresh_volumes && storage_forget_volumes(vm) < 0)
                r = problem_set(
                        ret_problem, "NoSpace", "RefreshVolumes", "RefreshVolumes: the old image cannot be removed");
        if (r >= 0)
                r = begin_start(vm, caller, ret, ret_problem);
        if (r < 0)
                return r;
        vm->wait_ready = wait_ready;
        vm->by_policy = false;
        vm->record->restart_row = 0;
        vm->record->wanted = true;
        vm_changing(vm, "RestartCount");
        vm->record->restart_count = 0;
        boot_start(vm);
        return 0;
}

int vm_start_by_policy(VM *vm, Problem **ret_problem) {
        Job *j;
        int r;

        r = begin_start(vm, vm_owner(vm), &j, ret_problem);
        if (r < 0)
                return r;
        vm->wait_ready = false;
        vm->by_policy = true;
        boot_start(vm);
        return 0;
}

/* The monitor took the request; the end is what counts. */
static void on_stop_reply(const Problem *problem, void *userdata) {
        VM *vm = userdata;

        if (problem && strcmp(problem->error, "VMNotRunning") != 0)
                log_warning("%s: its monitor could not stop it: %s", vm->name, problem->text);
}

static int send_stop(VM *vm, uint64_t timeout) {
        json_t *message = json_pack("{s:s, s:I}", "type", "stop", "timeout", (json_int_t) timeout);

        if (vm->unhealthy_end && !vm->end_asked)
                (void) json_object_set_new(message, "unhealthy", json_true());
        arm_stop_timer(vm, timeout);
        return request_send(vm, message, on_stop_reply, vm);
}

/* Brings an active VM down; its end runs vm_after_end(). */
static void begin_stop(VM *vm, uint64_t timeout, const char *why) {
        vm->end_asked = true;
        vm->record->wanted = false;
        if (vm->boot && !boot_is_launched(vm->boot)) {
                /* Nothing runs yet: undo is the whole stop. */
                boot_cancel(vm->boot);
                vm_set_state(vm, VM_STOPPED, why);
                (void) vm_save(vm);
                vm_after_end(vm);
                return;
        }
        vm_set_state(vm, VM_STOPPING, why);
        (void) vm_save(vm); /* that it was wanted down, whatever becomes of us */
        CRASH_POINT(STOP_ASKED);
        if (!vm->monitor || send_stop(vm, timeout) < 0) {
                /* The monitor does not listen: systemd ends it, by the same ladder or without it. */
                log_warning("%s: its monitor does not listen, systemd stops the unit", vm->name);
                vm_stop_unit(vm);
        }
        CRASH_POINT(STOP_SENT);
}

void vm_end_now(VM *vm) {
        if (!vm->monitor || send_stop(vm, 0) < 0) {
                g_autofree char *unit = vm_unit(vm);

                systemd_stop_and_forget(vm->runtime->systemd, unit);
        }
}

void vm_end_unhealthy(VM *vm) {
        vm->unhealthy_end = true;
        vm_set_state(vm, VM_STOPPING, "it is unhealthy, and is ended to start again");
        (void) vm_save(vm);
        if (send_stop(vm, vm->record->spec->stop_timeout) < 0) {
                g_autofree char *unit = vm_unit(vm);

                systemd_stop_and_forget(vm->runtime->systemd, unit);
        }
}

/* A start under way gives its job up to the stop. */
static void supersede_job(VM *vm, const char *text) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "%s", text);

        if (vm->boot)
                boot_release_job(vm->boot);
        vm_job_finish(vm, problem);
}

/* A start gives its job up only to a job that there may be. One of the same caller takes its place in the count. */
static int check_takeover(VM *vm, uint32_t caller, Problem **ret_problem) {
        return vm->job && vm->job->owner == caller ? 0 : quota_check_job(vm->runtime, caller, ret_problem);
}

int vm_stop(VM *vm, uint32_t caller, uint64_t timeout, Job **ret, Problem **ret_problem) {
        Job *j;
        int r;

        if (!vm->record)
                return fail_broken(vm, ret_problem);
        if (!vm_state_is_active(vm_state(vm)) && !vm->restart)
                return request_fail_state(vm, "Stop", ret_problem);
        if (vm->job && strcmp(vm->job->kind, "start") != 0) {
                /* Another stop (or removal) is under way: the shorter time wins, the job is shared. */
                if (vm->monitor && helper_is_connected(vm->monitor))
                        (void) send_stop(vm, timeout);
                *ret = vm->job;
                return 0;
        }
        r = check_takeover(vm, caller, ret_problem);
        if (r < 0)
                return r;
        supersede_job(vm, "the VM was stopped while it started");
        r = vm_job(vm, "stop", caller, &j, ret_problem);
        if (r < 0)
                return r;
        *ret = j;
        if (restart_cancel(vm)) {
                /* Nothing runs; it only would have. */
                vm->record->wanted = false;
                (void) vm_save(vm);
                vm_after_end(vm);
        } else
                begin_stop(vm, timeout, "stopped by request");
        return 0;
}

/* The VM goes: directory, object, everything that names it. */
static int vm_dispose(VM *vm, Problem **ret_problem) {
        Runtime *rt = vm->runtime;
        Image *image = vm_image(vm);
        g_autofree char *name = g_strdup(vm->name);
        int r;

        vm->saver = sd_event_source_disable_unref(vm->saver);
        /* Disks first: what is left by a crash in between is a VM that makes them anew, not disks of nobody. */
        if (!vm->keep_disks)
                disks_remove_of(vm);
        r = store_vm_remove(rt->store, vm->name);
        if (r < 0)
                return problem_set(
                        ret_problem, "NoSpace", NULL, "the VM's directory could not be removed: %s", g_strerror(-r));
        if (vm->record) {
                network_release(rt, vm->record);
                vm_drop_credentials(vm);
        }
        CRASH_POINT(REMOVE_RELEASED);
        rt->observer->runtime_changing("VMCount", rt->observer_data);
        if (image)
                rt->observer->image_changing(image, "UsedBy", rt->observer_data);
        rt->observer->vm_removed(vm, rt->observer_data);
        (void) g_hash_table_steal(rt->vms, name);
        vm_free(vm);
        log_info("%s: removed", name);
        return 0;
}

void vm_discard(VM *vm) {
        g_autoptr(Problem) problem = NULL;

        if (vm_dispose(vm, &problem) < 0)
                log_error("%s: %s", vm->name, problem->text);
}

static void dispose_and_finish(VM *vm) {
        g_autoptr(Problem) problem = NULL;
        Job *j = vm->job;

        vm_changing(vm, "JobPath");
        vm->job = NULL;
        vm->remove_wanted = false;
        (void) vm_dispose(vm, &problem);
        if (j)
                job_finish(j, problem);
}

void vm_after_end(VM *vm) {
        if (vm->remove_wanted || vm_is_pulling(vm) || (vm->record->spec->ephemeral && !vm->restart))
                dispose_and_finish(vm);
        else
                vm_job_finish(vm, NULL);
}

int vm_remove(VM *vm, uint32_t caller, bool keep_disks, Job **ret, Problem **ret_problem) {
        Job *j;
        int r;

        vm->keep_disks |= keep_disks; /* of two who ask, the one who keeps is heard */
        if (vm->remove_wanted) {
                *ret = vm->job;
                return 0;
        }
        if (vm->job && strcmp(vm->job->kind, "stop") == 0) {
                vm->remove_wanted = true;
                *ret = vm->job;
                return 0;
        }
        r = check_takeover(vm, caller, ret_problem);
        if (r < 0)
                return r;
        if (vm->job)
                supersede_job(vm, "the VM was removed while it started");
        r = vm_job(vm, "remove", caller, &j, ret_problem);
        if (r < 0)
                return r;
        *ret = j;
        vm->remove_wanted = true;
        if (vm_state_is_active(vm_state(vm)))
                begin_stop(vm, vm->record->spec->stop_timeout, "stopped to be removed");
        else
                dispose_and_finish(vm);
        return 0;
}
