/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the timers of VMs that will boot again. Nobody is asked: who defined the VM was. */
#include "core/restart.h"

#include <inttypes.h>

#include "model/restart.h"
#include "shared/log.h"

static RestartPolicy policy_of(const VM *vm) {
        RestartPolicy policy = {.mode = RESTART_NO};

        (void) restart_policy_parse(vm->record->spec->restart, &policy);
        return policy;
}

static void start(VM *vm) {
        g_autoptr(Problem) problem = NULL;

        if (vm_start_by_policy(vm, &problem) < 0)
                log_warning("%s: it could not be started again: %s", vm->name, problem->text);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata) {
        VM *vm = userdata;

        vm->restart = sd_event_source_unref(vm->restart);
        vm_changing(vm, "RestartCount");
        vm->record->restart_count++;
        start(vm);
        return 0;
}

bool restart_would_follow(const VM *vm, ExitReason reason, int code) {
        RestartPolicy policy = policy_of(vm);

        return !vm->remove_wanted && !vm->end_asked && vm->record->wanted &&
               restart_policy_applies(&policy, reason, code, vm->record->restart_count);
}

bool restart_consider(VM *vm, ExitReason reason, int code) {
        VMRecord *record = vm->record;
        uint64_t delay;

        if (!restart_would_follow(vm, reason, code))
                return false;
        if (record->exited_at > record->started_at && record->exited_at - record->started_at >= RESTART_GOOD_USEC)
                vm->restart_row = 0;
        delay = restart_delay(vm->restart_row++);
        (void) restart_cancel(vm);
        if (sd_event_add_time_relative(
                    vm->runtime->event, &vm->restart, CLOCK_MONOTONIC, delay, RESTART_DELAY_MIN, on_due, vm) < 0)
                return false;
        log_info("%s: starts again in %" PRIu64 " ms (Restart=%s)", vm->name, delay / 1000, record->spec->restart);
        return true;
}

bool restart_cancel(VM *vm) {
        bool pending = vm->restart != NULL;

        vm->restart = sd_event_source_disable_unref(vm->restart);
        return pending;
}

void restart_with_host(VM *vm) {
        RestartPolicy policy = policy_of(vm);

        if (!vm_state_is_startable(vm_state(vm)) || !restart_policy_with_host(&policy, vm->record->wanted))
                return;
        (void) restart_cancel(vm);
        log_info("%s: starts with the host (Restart=%s)", vm->name, vm->record->spec->restart);
        start(vm);
}
