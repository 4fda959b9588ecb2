/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the timers of VMs that will boot again. Nobody is asked: who defined the VM was. */
#include "core/restart.h"

#include <inttypes.h>

#include "core/request.h"
#include "model/restart.h"
#include "shared/fd.h"
#include "shared/log.h"

static RestartPolicy policy_of(const VM *vm) {
        RestartPolicy policy = {.mode = RESTART_NO};

        (void) restart_policy_parse(vm->record->spec->restart, &policy);
        return policy;
}

/* What stands in its way may go: it is tried again like a boot that failed. */
static void start(VM *vm) {
        g_autoptr(Problem) problem = NULL;

        if (vm_start_by_policy(vm, &problem) >= 0)
                return;
        log_warning("%s: it could not be started again: %s", vm->name, problem->text);
        (void) restart_retry(vm);
        (void) vm_save(vm);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata) {
        VM *vm = userdata;

        (void) restart_cancel(vm);
        vm_changing(vm, "RestartCount");
        vm->record->restart_count++;
        start(vm);
        return 0;
}

static bool schedule(VM *vm, uint64_t delay) {
        (void) restart_cancel(vm);
        if (sd_event_add_time_relative(
                    vm->runtime->event, &vm->restart, CLOCK_MONOTONIC, delay, RESTART_DELAY_MIN, on_due, vm) < 0)
                return false;
        vm->record->restart_at = now_realtime() + delay;
        return true;
}

bool restart_would_follow(const VM *vm, ExitReason reason, int code) {
        RestartPolicy policy = policy_of(vm);

        return !vm->remove_wanted && !vm->end_asked && vm->record->wanted &&
               restart_policy_applies(&policy, reason, code, vm->record->restart_count);
}

static bool consider(VM *vm, ExitReason reason, int code) {
        uint64_t delay;

        if (!restart_would_follow(vm, reason, code))
                return false;
        delay = restart_delay(vm->record->restart_row++);
        if (!schedule(vm, delay))
                return false;
        log_info("%s: starts again in %" PRIu64 " ms (Restart=%s)", vm->name, delay / 1000, vm->record->spec->restart);
        return true;
}

bool restart_consider(VM *vm, ExitReason reason, int code) {
        if (vm_uptime(vm) >= RESTART_GOOD_USEC)
                vm->record->restart_row = 0;
        return consider(vm, reason, code);
}

bool restart_retry(VM *vm) {
        return consider(vm, EXIT_CRASHED, 0);
}

void restart_resume(VM *vm) {
        uint64_t now = now_realtime(), at = vm->record->restart_at;

        if (at == 0 || vm->restart || !vm_state_is_startable(vm_state(vm)))
                return;
        /* No clock that was set makes it later than it could have been. */
        if (schedule(vm, at > now ? MIN(at - now, RESTART_DELAY_MAX) : 0))
                log_info("%s: starts again, as was due (Restart=%s)", vm->name, vm->record->spec->restart);
}

void restart_review(VM *vm) {
        if (!vm->restart || restart_would_follow(vm, vm->record->exit_reason, vm->record->exit_code))
                return;
        (void) restart_cancel(vm);
        log_info("%s: does not start again (Restart=%s)", vm->name, vm->record->spec->restart);
        (void) vm_save(vm);
        vm_after_end(vm);
}

bool restart_cancel(VM *vm) {
        bool pending = vm->restart != NULL;

        vm->restart = sd_event_source_disable_unref(vm->restart);
        vm->record->restart_at = 0;
        return pending;
}

void restart_with_host(VM *vm) {
        RestartPolicy policy = policy_of(vm);

        if (!vm_state_is_startable(vm_state(vm)) || !restart_policy_with_host(&policy, vm->record->wanted))
                return;
        vm->record->restart_row = 0;
        if (schedule(vm, 0))
                log_info("%s: starts with the host (Restart=%s)", vm->name, vm->record->spec->restart);
}
