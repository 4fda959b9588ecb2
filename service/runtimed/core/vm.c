/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns a VM's state and record: the one setter, the end of a boot, creation and disposal. */
#include "core/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "core/boot-plan.h"
#include "core/boot.h"
#include "core/disk.h"
#include "core/image.h"
#include "core/memory.h"
#include "core/metrics.h"
#include "core/network.h"
#include "core/pools.h"
#include "core/quota.h"
#include "core/request.h"
#include "core/restart.h"
#include "core/tpm.h"
#include "core/user-network.h"
#include "model/name.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/log.h"

#define EXIT_RECORD_MAX 65536U
#define EXIT_CODE_KILLED (128 + SIGKILL)
#define GUEST_SIGRTMIN 34 /* the kernel's, as in shared/signal-names.c */

VM *vm_new(Runtime *rt, const char *name, VMRecord *record) {
        VM *vm = g_new0(VM, 1);

        *vm = (VM){.runtime = rt,
                .name = g_strdup(name),
                .record = record,
                .generation = 1,
                .payload = SPEC_PAYLOAD_NONE};
        (void) g_hash_table_insert(rt->vms, vm->name, vm);
        if (record)
                (void) g_hash_table_insert(rt->instances, record->unit, vm);
        return vm;
}

void vm_free(VM *vm) {
        if (!vm)
                return;
        if (vm->saver) /* the daemon ends */
                (void) vm_save(vm);
        sd_event_source_disable_unref(vm->restart);
        sd_event_source_disable_unref(vm->stop_timer);
        sd_event_source_disable_unref(vm->boot_timer);
        (void) systemd_call_free(vm->unit_stop);
        if (vm->boot)
                boot_forget(vm->boot);
        if (vm->record)
                (void) g_hash_table_remove(vm->runtime->instances, vm->record->unit);
        (void) helper_free(vm->monitor);
        (void) helper_free(vm->tpm);
        user_network_free(vm);
        g_clear_pointer(&vm->requests, g_hash_table_unref);
        vm_record_free(vm->record);
        g_free(vm->broken);
        spec_payload_clear(&vm->payload);
        g_free(vm->guest_error);
        g_free(vm->name);
        g_free(vm);
}

uint64_t vm_monotonic_of(uint64_t realtime) {
        uint64_t now = now_monotonic(), there = now_realtime(),
                 age = realtime > 0 && there > realtime ? there - realtime : 0;

        return now > age ? now - age : 1;
}

uint64_t vm_uptime(const VM *vm) {
        return vm->running_since > 0 ? now_monotonic() - vm->running_since : 0;
}

uint64_t vm_time_told(json_t *message, const char *key) {
        json_int_t t = json_integer_value(json_object_get(message, key));

        return t < 0 ? 0 : MIN((uint64_t) t, now_realtime());
}

/* How long it has run says its monitor, to a daemon that may have come later. */
static void has_run(VM *vm, json_t *end) {
        json_int_t ran = json_integer_value(json_object_get(end, "ran"));
        uint64_t now = now_monotonic();

        if (ran > 0 && (uint64_t) ran < now)
                vm->running_since = now - (uint64_t) ran;
}

uint32_t vm_owner(const VM *vm) {
        return vm->record ? vm->record->owner : vm->broken_owner;
}

VMState vm_state(const VM *vm) {
        return vm->record ? vm->record->state : VM_FAILED;
}

const char *vm_state_reason(const VM *vm) {
        return vm->record ? vm->record->state_reason : vm->broken;
}

Image *vm_image(VM *vm) {
        return vm->record ? image_find(vm->runtime, vm->record->owner, vm->record->image_digest) : NULL;
}

char *vm_unit(const VM *vm) {
        return g_strdup_printf("mcp-vm@%s.service", vm->record->unit);
}

char *vm_passt_unit(const VM *vm) {
        return g_strdup_printf("mcp-passt@%s.service", vm->record->unit);
}

void vm_changing(VM *vm, const char *property) {
        vm->runtime->observer->vm_changing(vm, property, vm->runtime->observer_data);
}

int vm_save(VM *vm) {
        json_t *record = vm_record_to_json(vm->record);
        int r = store_vm_save(vm->runtime->store, vm->name, record);

        json_decref(record);
        vm->saver = sd_event_source_disable_unref(vm->saver);
        if (r < 0)
                log_error("%s: its record could not be written: %s", vm->name, g_strerror(-r));
        return r;
}

static int on_save_due(sd_event_source *source, void *userdata) {
        (void) vm_save(userdata);
        CRASH_POINT(STOP_RECORDED);
        return 0;
}

#define SAVE_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 1)

void vm_save_soon(VM *vm) {
        if (vm->saver)
                return;
        if (sd_event_add_defer(vm->runtime->event, &vm->saver, on_save_due, vm) < 0 ||
                sd_event_source_set_priority(vm->saver, SAVE_PRIORITY) < 0)
                (void) vm_save(vm);
}

void vm_set_state(VM *vm, VMState state, const char *reason) {
        VMRecord *record = vm->record;
        VMState old = record->state;

        if (strcmp(record->state_reason, reason) != 0) {
                vm_changing(vm, "StateReason");
                g_free(record->state_reason);
                record->state_reason = g_strdup(reason);
        }
        if (old == state)
                return;
        if (!vm_state_may_follow(old, state))
                log_error("%s: %s does not follow %s", vm->name, vm_state_to_string(state), vm_state_to_string(old));
        vm_changing(vm, "State");
        vm->runtime->observer->runtime_changing("RunningCount", vm->runtime->observer_data);
        record->state = state;
        log_info("%s: %s -> %s%s%s", vm->name, vm_state_to_string(old), vm_state_to_string(state), *reason ? ": " : "",
                reason);
        vm->runtime->observer->vm_state(vm, vm->runtime->observer_data);
}

void vm_set_ready(VM *vm, bool ready) {
        vm_changing(vm, "Ready");
        vm->ready = ready;
}

void vm_set_health(VM *vm, VMHealth health) {
        if (health == vm->health)
                return;
        vm_changing(vm, "Health");
        log_info("%s: health: %s -> %s", vm->name, vm_health_to_string(vm->health), vm_health_to_string(health));
        vm->health = health;
}

static void on_unit_ended(int r, const char *text, void *userdata) {
        VM *vm = userdata;

        vm->unit_stop = systemd_call_free(vm->unit_stop);
        vm->ending = false;
}

/* The boot has ended by the monitor's word, or with its connection; that its processes have is systemd's to see to. */
void vm_end_unit(VM *vm) {
        g_autofree char *unit = vm_unit(vm);

        vm->unit_stop = systemd_call_free(vm->unit_stop);
        vm->ending = systemd_stop(vm->runtime->systemd, unit, on_unit_ended, vm, &vm->unit_stop) >= 0;
}

static void on_unit_stopped(int r, const char *text, void *userdata) {
        VM *vm = userdata;

        vm->unit_stop = systemd_call_free(vm->unit_stop);
        if (r < 0 && r != -ENOENT)
                log_warning("%s: %s", vm->name, text);
        else if (vm_state(vm) == VM_STOPPING && !vm->monitor) /* there was nobody to tell of the end */
                vm_ended_by_record(vm);
}

void vm_stop_unit(VM *vm) {
        g_autofree char *unit = vm_unit(vm);

        vm->unit_stop = systemd_call_free(vm->unit_stop);
        (void) systemd_stop(vm->runtime->systemd, unit, on_unit_stopped, vm, &vm->unit_stop);
}

/* Every helper of a boot goes; passt would follow the guest by itself, and is told so that nothing is left to chance.
 */
static void let_helpers_go(VM *vm) {
        bool had_monitor = vm->monitor != NULL;

        vm->stop_timer = sd_event_source_disable_unref(vm->stop_timer);
        vm->boot_timer = sd_event_source_disable_unref(vm->boot_timer);
        vm->monitor = helper_free(vm->monitor);
        if (had_monitor && !vm->stopped_outside)
                vm_end_unit(vm);
        vm->stopped_outside = false;
        if (network_is_bridge(vm->record->spec->network))
                network_detach(vm);
        if (strcmp(vm->record->spec->network, NETWORK_USER) == 0)
                user_network_stop(vm);
        tpm_stop(vm);
}

static bool reason_is_failure(ExitReason reason) {
        return reason == EXIT_CRASHED || reason == EXIT_OOM || reason == EXIT_LOST || reason == EXIT_UNHEALTHY;
}

/* What happened, for everybody: foreign words stay in the job and in the log. */
static char *describe_end(ExitReason reason, int code) {
        switch (reason) {
        case EXIT_GUEST_EXIT:
                return g_strdup_printf("the program ended with exit code %d", code);
        case EXIT_GUEST_SIGNAL:
                if (code >= GUEST_SIGRTMIN)
                        return g_strdup_printf(
                                "the program was ended by signal %d (RTMIN+%d)", code, code - GUEST_SIGRTMIN);
                return g_strdup_printf(
                        "the program was ended by signal %d (%s)", code, sigabbrev_np(code) ?: "unknown");
        case EXIT_POWERED_OFF:
                return g_strdup("the guest powered itself off");
        case EXIT_KILLED:
                return g_strdup("the VM was ended by request");
        case EXIT_UNHEALTHY:
                return g_strdup("it was unhealthy, and was ended");
        case EXIT_OOM:
                return g_strdup("memory ran out in the VM's unit");
        default:
                return g_strdup("QEMU or the guest's kernel crashed; the VM's log says more");
        }
}

void vm_ended(VM *vm, ExitReason reason, int code, uint64_t at, const char *words, const char *detail) {
        VMRecord *record = vm->record;
        bool failed = reason_is_failure(reason) || vm->failure;
        g_autofree char *described = vm->failure || words ? NULL : describe_end(reason, code);

        words = vm->failure ?: words ?: described;
        detail = vm->guest_error ?: detail && *detail ? detail : words;
        vm->awaited = false;
        vm_changing(vm, "ExitReason");
        vm_changing(vm, "ExitCode");
        vm_changing(vm, "ExitedAt");
        vm_changing(vm, "MainPID");
        record->exit_reason = reason;
        record->exit_code = code;
        record->exited_at = at;
        vm->main_pid = 0;
        vm->unhealthy_end = vm->unit_killed = false;
        vm_set_ready(vm, false);
        vm_set_health(vm, HEALTH_NONE);
        memory_end(vm);
        metrics_forget(vm);
        if (vm->boot) {
                bool stopped = vm->end_asked && !vm->failure;
                g_autoptr(Problem) boot_problem = problem_new(stopped ? "Canceled" : "GuestNotResponding", NULL,
                        stopped ? "the VM was stopped before it was ready: %s" : "the VM ended before it was ready: %s",
                        detail);

                boot_failed(vm->boot, boot_problem);
        }
        CRASH_POINT(STOP_ENDED);
        let_helpers_go(vm);
        CRASH_POINT(STOP_RELEASED);
        requests_fail(vm, "VMNotRunning", "the VM ended");
        vm_set_state(vm, failed ? VM_FAILED : VM_STOPPED, words);
        /* One that we ended because it did not come up has failed; nobody wanted it down. */
        (void) restart_consider(vm, vm->failure && reason == EXIT_KILLED ? EXIT_CRASHED : reason, code);
        vm->running_since = 0;
        vm_save_soon(vm);
        vm_after_end(vm);
}

void vm_ended_as_told(VM *vm, ExitReason reason, json_t *end) {
        const char *text = json_string_value(json_object_get(end, "message"));
        g_autofree char *plain = plain_text(text ?: "", VM_FOREIGN_TEXT_MAX);

        has_run(vm, end);
        vm_ended(vm, reason, (int) json_integer_value(json_object_get(end, "code")), vm_time_told(end, "at"), NULL,
                plain);
}

bool vm_end_is_recorded(VM *vm) {
        _cleanup_close_ int fd = store_vm_open(vm->runtime->store, vm->name, "exit", O_RDONLY);
        ExitReason reason = EXIT_REASON_INVALID;
        json_t *object = NULL;
        char *text = NULL;
        size_t len;

        if (fd >= 0 && read_file(fd, EXIT_RECORD_MAX, &text, &len) >= 0)
                object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        if (json_unpack_ex(object, NULL, JSON_VALIDATE_ONLY, "{s:I, s:s, s:I, s:I, s?s}", "boot", "reason", "code",
                    "at", "message") >= 0 &&
                json_integer_value(json_object_get(object, "boot")) == (json_int_t) vm->record->boot_id)
                reason = exit_reason_from_string(json_string_value(json_object_get(object, "reason")));
        if (reason > EXIT_NONE) {
                if (json_is_true(json_object_get(object, "asked")))
                        vm->end_asked = true;
                vm_ended_as_told(vm, reason, object);
        }
        json_decref(object);
        free(text);
        return reason > EXIT_NONE;
}

void vm_ended_by_record(VM *vm) {
        if (vm_end_is_recorded(vm))
                return;
        if (vm->unit_killed)
                vm_ended(vm, vm->unhealthy_end && !vm->end_asked ? EXIT_UNHEALTHY : EXIT_KILLED, EXIT_CODE_KILLED,
                        now_realtime(), "its monitor did not end it in time, and the unit was killed", NULL);
        else
                vm_ended(vm, EXIT_LOST, 0, now_realtime(), "its monitor ended without an exit record", NULL);
}

/* ---- Creation ---- */

int vm_check_name(Runtime *rt, const char *name, Problem **ret_problem) {
        g_autofree char *instance = NULL;
        VM *other;

        if (!vm_name_is_valid(name)) {
                g_autofree char *shown = problem_quote(name);

                return problem_set(
                        ret_problem, "InvalidName", NULL, "%s is no name for a VM; expected " VM_NAME_ACCEPTED, shown);
        }
        if (g_hash_table_contains(rt->vms, name))
                return problem_set(ret_problem, "VMExists", NULL, "there is a VM '%s' already", name);
        instance = vm_unit_instance(name);
        other = g_hash_table_lookup(rt->instances, instance);
        if (other)
                return problem_set(ret_problem, "VMExists", NULL,
                        "'%s' would have the same unit as VM '%s' (mcp-vm@%s); choose another name", name, other->name,
                        instance);
        return 0;
}

int vm_check_new(Runtime *rt, const char *name, uint32_t owner, const VMSpec *spec, bool pull, Problem **ret_problem) {
        const Image *image = image_find(rt, owner, spec->image);
        const Network *network;
        int r;

        r = vm_check_name(rt, name, ret_problem);
        if (r >= 0)
                r = vm_check_image(rt, owner, spec, pull, ret_problem);
        if (r >= 0)
                r = boot_check_machine(spec, ret_problem);
        if (r >= 0 && image)
                r = image_check_architecture(image, spec, ret_problem);
        if (r < 0)
                return r;
        network = network_is_bridge(spec->network) ? network_find(rt, spec->network) : NULL;
        if (network_is_bridge(spec->network) && !network)
                return problem_set(ret_problem, "NoSuchNetwork", "Network",
                        "Network: there is no network '%s'; expected user, none or one of ListNetworks", spec->network);
        r = network ? pool_check_address(network, owner, NULL, ret_problem) : 0;
        if (r < 0)
                return r;
        r = disks_check(rt, owner, spec, NULL, ret_problem);
        if (r < 0)
                return r;
        r = quota_check_spec(rt, owner, spec, ret_problem);
        if (r < 0)
                return r;
        return quota_check_vm(rt, owner, ret_problem);
}

static VMRecord *record_new(Runtime *rt, const char *name, uint32_t owner, const char *owner_name, const VMSpec *spec) {
        Image *image = image_find(rt, owner, spec->image);
        VMRecord *r = g_new0(VMRecord, 1);

        *r = (VMRecord){.owner = owner, .state = VM_CREATED, .created_at = now_realtime()};
        r->name = g_strdup(name);
        r->uuid = g_uuid_string_random();
        r->owner_name = g_strdup(owner_name);
        r->spec = vm_spec_copy(spec);
        r->image_digest = image ? g_strconcat("sha256:", image->hex, NULL) : g_strdup("");
        r->image_hash = g_strdup(image ? image->root_hash : "");
        r->state_reason = g_strdup("");
        r->accelerator = g_strdup("");
        r->profile = g_strdup("");
        r->host_boot = g_strdup(rt->host_boot);
        r->unit = vm_unit_instance(name);
        r->address = g_strdup("");
        r->mac = g_strdup("");
        return r;
}

/* Nobody was told of it yet. */
static void forget_new(VM *vm) {
        Runtime *rt = vm->runtime;
        g_autofree char *name = g_strdup(vm->name);

        vm_drop_credentials(vm);
        network_release(rt, vm->record);
        (void) store_vm_remove(rt->store, name);
        (void) g_hash_table_remove(rt->vms, name);
}

/* A VM is about to be there that uses it. */
static void image_name_user(Runtime *rt, const VMRecord *record) {
        Image *image = image_find(rt, record->owner, record->image_digest);

        rt->observer->runtime_changing("VMCount", rt->observer_data);
        if (image)
                rt->observer->image_changing(image, "UsedBy", rt->observer_data);
}

void vm_record_resolve_image(Runtime *rt, VMRecord *record) {
        Image *image = *record->image_digest ? NULL : image_find(rt, record->owner, record->spec->image);

        if (!image)
                return;
        rt->observer->image_changing(image, "UsedBy", rt->observer_data);
        g_free(record->image_digest);
        g_free(record->image_hash);
        record->image_digest = g_strconcat("sha256:", image->hex, NULL);
        record->image_hash = g_strdup(image->root_hash);
}

int vm_add(Runtime *rt, VMRecord *record, VM **ret, Problem **ret_problem) {
        VM *vm;
        int r;

        r = network_lease(rt, record, ret_problem);
        if (r < 0) {
                vm_record_free(record);
                return r;
        }
        image_name_user(rt, record);
        vm = vm_new(rt, record->name, record);
        r = vm_save(vm);
        if (r < 0) {
                forget_new(vm);
                return problem_set(
                        ret_problem, "NoSpace", NULL, "the VM's record could not be written: %s", g_strerror(-r));
        }
        log_info("%s: added for uid %u", record->name, record->owner);
        rt->observer->vm_new(vm, rt->observer_data);
        *ret = vm;
        return 0;
}

int vm_create(Runtime *rt, const char *name, uint32_t owner, const char *owner_name, const VMSpec *spec, bool pull,
        SpecPayload *payload, VM **ret, Problem **ret_problem) {
        Image *image = image_find(rt, owner, spec->image);
        VMRecord *record;
        VM *vm;
        int r;

        r = vm_check_new(rt, name, owner, spec, pull, ret_problem);
        if (r < 0)
                return r;
        record = record_new(rt, name, owner, owner_name, spec);
        r = network_lease(rt, record, ret_problem);
        if (r < 0) {
                vm_record_free(record);
                return r;
        }
        image_name_user(rt, record);
        vm = vm_new(rt, name, record);
        record->pulling = !image && !*spec->root_directory;
        r = vm_take_credentials(vm, payload, ret_problem);
        if (r < 0) {
                forget_new(vm);
                return r;
        }
        for (; vm->payload.n_archives < payload->n_archives; vm->payload.n_archives++)
                vm->payload.archives[vm->payload.n_archives] = take_fd(&payload->archives[vm->payload.n_archives]);
        CRASH_POINT(CREATE_LEASED);
        r = vm_save(vm);
        if (r < 0) {
                forget_new(vm);
                return problem_set(
                        ret_problem, "NoSpace", NULL, "the VM's record could not be written: %s", g_strerror(-r));
        }
        CRASH_POINT(CREATE_SAVED);
        log_info("%s: created for uid %u from %s", name, owner,
                image                   ? vm->record->image_digest
                : *spec->root_directory ? "a directory of the host"
                                        : "what is to be pulled");
        rt->observer->vm_new(vm, rt->observer_data);
        *ret = vm;
        return 0;
}
