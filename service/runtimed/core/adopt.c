/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What monitors say, during a boot and after a daemon's restart. */
#include <errno.h>
#include <string.h>

#include "core/boot.h"
#include "core/image.h"
#include "core/memory.h"
#include "core/metrics.h"
#include "core/request.h"
#include "core/restart.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/log.h"

/* A clock that is set does not change when it was. A monitor of an older build knows the time by the host's clock only. */
static uint64_t since_of(json_t *message) {
        json_int_t since = json_integer_value(json_object_get(message, "since"));

        return since > 0 ? MIN((uint64_t) since, now_monotonic()) : vm_monotonic_of(vm_time_told(message, "started"));
}

static void on_running(VM *vm, json_t *message) {
        json_int_t pid = json_integer_value(json_object_get(message, "pid"));

        if (!vm_state_is_active(vm_state(vm)) || vm_state(vm) == VM_PREPARING)
                return; /* before its orders, or after its end */
        vm_changing(vm, "MainPID");
        vm_changing(vm, "StartedAt");
        vm->main_pid = pid > 0 && pid <= INT32_MAX ? (uint32_t) pid : 0;
        vm->running_since = since_of(message);
        /* What is known of this boot stays: the clock may have been set back, to before it. */
        if (vm->record->started_at == 0)
                vm->record->started_at = vm_time_told(message, "started");
        memory_begin(vm);
        if (vm_state(vm) == VM_STARTING) {
                vm_set_state(vm, VM_RUNNING, "");
                (void) vm_save(vm);
                CRASH_POINT(START_RUNNING);
        }
        if (vm->boot)
                boot_running(vm->boot);
}

/* After its orders, and before its end. */
static bool may_tell(const VM *vm) {
        return vm_state_is_active(vm_state(vm)) && vm_state(vm) != VM_PREPARING;
}

static void on_program(VM *vm) {
        if (!may_tell(vm))
                return;
        vm->boot_timer = sd_event_source_disable_unref(vm->boot_timer);
        if (vm->boot)
                boot_program(vm->boot);
}

static void on_ready(VM *vm, json_t *message) {
        bool ready = !json_is_false(json_object_get(message, "ready"));

        if (!may_tell(vm))
                return;
        vm_set_ready(vm, ready);
        if (ready)
                on_program(vm);
}

/* A policy that would start it again after a failure has it ended. */
static void on_health(VM *vm, json_t *message) {
        const char *text = json_string_value(json_object_get(message, "health"));
        VMHealth health = text ? vm_health_from_string(text) : HEALTH_INVALID;

        if (!may_tell(vm) || health == HEALTH_INVALID || vm->record->spec->health.kind == PROBE_NONE)
                return;
        vm_set_health(vm, health);
        if (health == HEALTH_UNHEALTHY && vm_state(vm) == VM_RUNNING && restart_would_follow(vm, EXIT_UNHEALTHY, 0))
                vm_end_unhealthy(vm);
}

static void on_state(VM *vm, json_t *message) {
        const char *text = json_string_value(json_object_get(message, "state"));
        VMState state = text ? vm_state_from_string(text) : VM_STATE_INVALID;

        /* A ladder that was not asked for here was asked for by systemd: systemctl stop, or the host goes down. It is
         * no end to restart from, and no wish to stay down after the host's next boot either. A guest that goes down by
         * itself is stopping, too, and nobody asked for that. */
        if (state == VM_STOPPING && json_is_true(json_object_get(message, "asked"))) {
                vm->stopped_outside = !vm->stop_timer;
                vm->end_asked = vm->end_asked || vm->stopped_outside || !(vm->unhealthy_end || vm->failure);
        }

        if ((state == VM_PAUSED || state == VM_RUNNING || state == VM_STOPPING) &&
                vm_state_may_follow(vm_state(vm), state)) {
                /* Not written: the monitor says it again to the next daemon, and may say it as often as it likes. */
                vm_set_state(vm, state, "");
        }
}

static void on_exited(VM *vm, json_t *message) {
        const char *name = json_string_value(json_object_get(message, "reason"));
        ExitReason reason = name ? exit_reason_from_string(name) : EXIT_REASON_INVALID;

        if (reason <= EXIT_NONE)
                reason = EXIT_CRASHED;
        if (json_is_true(json_object_get(message, "asked")) && (!vm->failure || vm->stopped_outside))
                vm->end_asked = true;
        /* Its stopping was taken for somebody's wish where a daemon died in between; its end says what it was. */
        if (reason == EXIT_UNHEALTHY && !json_is_true(json_object_get(message, "asked")))
                vm->end_asked = false;
        vm_ended_as_told(vm, reason, message);
}

static void on_message(Helper *h, json_t *message, void *userdata) {
        VM *vm = userdata;
        const char *type = json_string_value(json_object_get(message, "type"));
        const char *text = json_string_value(json_object_get(message, "message"));

        if (strcmp(type, "running") == 0)
                on_running(vm, message);
        else if (strcmp(type, "program") == 0)
                on_program(vm);
        else if (strcmp(type, "ready") == 0)
                on_ready(vm, message);
        else if (strcmp(type, "health") == 0)
                on_health(vm, message);
        else if (strcmp(type, "usage") == 0)
                metrics_are(vm, message);
        else if (strcmp(type, "memory") == 0)
                memory_is(vm, message);
        else if (strcmp(type, "state") == 0)
                on_state(vm, message);
        else if (strcmp(type, "reply") == 0)
                requests_reply(vm, message);
        else if (strcmp(type, "guest-error") == 0) {
                g_free(vm->guest_error);
                vm->guest_error = plain_text(text ?: "", VM_FOREIGN_TEXT_MAX);
                vm->failure = spec_is_nanos(vm->record->spec)
                                      ? "the guest could not start its program; the VM's log says why"
                                      : "guest init could not do what it was told; the VM's log says what";
                log_warning("%s: its guest failed", vm->name);
        } else if (strcmp(type, "exited") == 0)
                on_exited(vm, message);
}

static void on_end(Helper *h, int r, const char *text, void *userdata) {
        VM *vm = userdata;

        if (r == -ECANCELED) { /* systemctl stop: no end to restart from */
                vm->end_asked = true;
                vm_ended(vm, EXIT_KILLED, 0, now_realtime(), "its unit was stopped while it started", NULL);
        } else if (r < 0)
                vm_ended(vm, EXIT_CRASHED, 0, now_realtime(), "its unit did not start", text);
        else if (vm_state(vm) == VM_PREPARING)
                vm_ended(vm, EXIT_LOST, 0, now_realtime(), "its unit ended before it had started", NULL);
        else
                vm_ended_by_record(vm);
}

const HelperOps vm_monitor_ops = {.message = on_message, .end = on_end};

static int on_boot_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        VM *vm = userdata;

        vm->boot_timer = sd_event_source_unref(vm->boot_timer);
        if (vm->ready || vm_state(vm) == VM_STOPPING)
                return 0;
        vm->failure = BOOT_TIMEOUT_TEXT;
        vm_end_now(vm);
        return 0;
}

/* The start that another daemon began has the time it would have had with that one. */
static void arm_boot_timer(VM *vm, uint64_t since) {
        uint64_t limit = vm->runtime->config->boot_timeout, now = now_monotonic();
        uint64_t age = now > since ? now - since : 0;

        vm->boot_timer = sd_event_source_disable_unref(vm->boot_timer);
        (void) sd_event_add_time_relative(vm->runtime->event, &vm->boot_timer, CLOCK_MONOTONIC,
                age < limit ? limit - age : 0, G_USEC_PER_SEC, on_boot_timeout, vm);
}

void vm_adopt(VM *vm, json_t *hello) {
        const char *state = json_string_value(json_object_get(hello, "state"));
        json_t *exited = json_object_get(hello, "exit");

        vm->awaited = false;
        log_info("%s: its monitor is back, it is %s", vm->name, state ?: "in an unknown state");
        if (json_is_object(exited)) {
                on_exited(vm, exited);
                return;
        }
        if (state && strcmp(state, "starting") != 0) {
                on_running(vm, hello);
                on_state(vm, hello);
        }
        if (json_is_true(json_object_get(hello, "ready")))
                on_ready(vm, hello);
        else if (json_is_true(json_object_get(hello, "program")))
                on_program(vm);
        else
                arm_boot_timer(vm, since_of(hello));
        on_health(vm, hello);
        if (json_is_object(json_object_get(hello, "memory")))
                memory_is(vm, json_object_get(hello, "memory"));
}
