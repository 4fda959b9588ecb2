/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the registries, their loading, the KVM probe and the monitors that come back. */
#include "core/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/boot.h"
#include "core/builds.h"
#include "core/image-clean.h"
#include "core/image.h"
#include "core/initrd.h"
#include "core/job-record.h"
#include "core/limits.h"
#include "core/logins.h"
#include "core/metrics.h"
#include "core/network.h"
#include "core/owners.h"
#include "core/profile.h"
#include "core/reconcile.h"
#include "core/restart.h"
#include "core/user-network.h"
#include "core/users.h"
#include "core/vm.h"
#include "model/name.h"
#include "shared/fd.h"
#include "shared/log.h"

#define KVM_UNIT "mcp-kvm-probe@0.service"
#define KVM_FACT "kvm.json"
#define LEISURE_USEC G_USEC_PER_SEC

int runtime_new(sd_event *event, const Config *config, const Observer *observer, void *observer_data, Runtime **ret) {
        Runtime *rt;
        Store *store;
        int r;

        r = store_open(config->state_directory, &store);
        if (r < 0)
                return r;
        rt = g_new0(Runtime, 1);
        *rt = (Runtime){.config = config,
                .limits = config_spec_limits(config),
                .event = sd_event_ref(event),
                .store = store,
                .observer = observer,
                .observer_data = observer_data};
        /* From the unit (%b): /proc/sys is not there for a process with ProcSubset=pid. */
        rt->host_boot = g_strdup(g_getenv("MCP_HOST_BOOT") ?: "");
        rt->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify) vm_free);
        rt->instances = g_hash_table_new(g_str_hash, g_str_equal);
        rt->images = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify) image_free);
        rt->jobs = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify) job_free);
        rt->initrds = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, initrd_build_free);
        rt->networks = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify) network_free);
        rt->netd = netd_new(event, &networks_netd_ops, rt);
        rt->kvm_waiters = waiters_new();
        rt->profiles = profiles_new(rt);
        rt->metrics = g_ptr_array_new_with_free_func(metrics_query_free);
        rt->settings = g_ptr_array_new_with_free_func(limits_setting_free);
        rt->logins = logins_new(rt);
        rt->users = users_new(owners_named, rt);
        r = builds_new(rt, &rt->builds);
        if (r < 0) {
                (void) runtime_free(rt);
                return r;
        }
        *ret = rt;
        return 0;
}

Runtime *runtime_free(Runtime *rt) {
        if (!rt)
                return NULL;
        sd_event_source_disable_unref(rt->grace);
        sd_event_source_disable_unref(rt->cleaner);
        if (rt->unclean)
                g_ptr_array_unref(rt->unclean);
        logins_free(rt->logins);
        (void) users_free(rt->users);
        reconciliation_free(rt->pass);
        g_ptr_array_unref(rt->settings);
        /* Boots under way are left as they are: the next daemon finds them by their records. */
        g_hash_table_unref(rt->vms);
        g_ptr_array_unref(rt->metrics);
        g_hash_table_unref(rt->networks);
        (void) netd_free(rt->netd);
        g_hash_table_unref(rt->initrds);
        profiles_free(rt->profiles);
        g_hash_table_unref(rt->instances);
        g_hash_table_unref(rt->images);
        cleans_free(rt);
        builds_free(rt->builds);
        g_hash_table_unref(rt->jobs);
        (void) helper_free(rt->kvm_probe);
        g_ptr_array_unref(rt->kvm_waiters);
        (void) store_free(rt->store);
        sd_event_unref(rt->event);
        g_free(rt->host_boot);
        g_free(rt->kvm_text);
        g_free(rt);
        return NULL;
}

VM *runtime_find_vm(Runtime *rt, const char *name) {
        return g_hash_table_lookup(rt->vms, name);
}

VM *runtime_find_vm_by_uuid(Runtime *rt, const char *uuid) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (((VM *) value)->record && strcmp(((VM *) value)->record->uuid, uuid) == 0)
                        return value;
        return NULL;
}

Job *runtime_find_job(Runtime *rt, uint32_t id) {
        return g_hash_table_lookup(rt->jobs, GUINT_TO_POINTER(id));
}

uint32_t runtime_count_running(Runtime *rt) {
        GHashTableIter iter;
        gpointer value;
        uint32_t n = 0;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                n += vm_state_has_guest(vm_state(value));
        return n;
}

/* ---- Loading ---- */

/* What is in a record may be a secret of its owner; why a VM has failed is for everybody. */
static VM *load_broken(Runtime *rt, const char *name, const char *why, const char *detail) {
        VM *vm = vm_new(rt, name, NULL);

        vm->broken = g_strdup(why);
        log_error("%s: its record is broken: %s", name, detail ?: why);
        return vm;
}

/* Whose a broken record is, where that much can be read; root's otherwise. */
static uint32_t salvage_owner(const char *text, size_t len) {
        json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *owner = json_object_get(object, "owner");
        json_int_t uid = json_integer_value(owner);

        json_decref(object);
        return uid > 0 && uid < UINT32_MAX ? (uint32_t) uid : 0;
}

/* A record that was read, or why it was not. */
typedef struct Loaded {
        VMRecord *record;
        int r;            /* of reading the file */
        Problem *problem; /* of what is in it */
        uint32_t owner;   /* likewise */
} Loaded;

/* In any thread: the limits are all that it may look at. */
static void *read_vm(int r, const char *text, size_t len, const void *limits) {
        Loaded *l = g_new(Loaded, 1);

        *l = (Loaded){.r = r};
        if (r >= 0 && vm_record_parse(text, len, limits, &l->record, &l->problem) < 0)
                l->owner = salvage_owner(text, len);
        return l;
}

static VM *load_record(Runtime *rt, const char *name, Loaded *l) {
        VM *vm;

        if (!l->record) {
                vm = load_broken(rt, name, "its record cannot be understood; the service's journal says why",
                        l->problem ? l->problem->text : NULL);
                vm->broken_owner = l->owner;
                return vm;
        }
        if (strcmp(l->record->name, name) != 0 || g_hash_table_contains(rt->instances, l->record->unit))
                return load_broken(rt, name, "it names another VM", NULL);
        vm = vm_new(rt, name, g_steal_pointer(&l->record));
        vm_credentials_restore(vm);
        return vm;
}

static VM *load_vm(Runtime *rt, const char *name, Loaded *l) {
        if (l->r == -ENOENT) {
                (void) store_vm_clean(rt->store, name); /* half a record, perhaps */
                if (store_vm_remove_empty(rt->store, name) >= 0)
                        return NULL; /* its creation was broken off before there was a record */
        }
        if (l->r < 0)
                return load_broken(
                        rt, name, l->r == -ENOENT ? "there is no record in its directory" : g_strerror(-l->r), NULL);
        return load_record(rt, name, l);
}

static void on_vm_read(const char *name, void *result, void *userdata) {
        Loaded *l = result;
        Runtime *rt = userdata;
        VM *vm = load_vm(rt, name, l);

        if (vm) {
                g_ptr_array_add(rt->unclean, g_strdup(name));
                rt->observer->vm_new(vm, rt->observer_data);
        }
        vm_record_free(l->record);
        problem_free(l->problem);
        g_free(l);
}

/* The host's boot in which a VM was last seen is noted, so that it starts with the host once. A thousand records need
 * not be on disk before the first caller is heard: whatever is done with a VM until then writes the note as well. */
static void review_host(VM *vm) {
        Runtime *rt = vm->runtime;

        if (strcmp(vm->record->host_boot, rt->host_boot) == 0)
                return;
        g_free(vm->record->host_boot);
        vm->record->host_boot = g_strdup(rt->host_boot);
        restart_with_host(vm);
        vm_save_soon(vm); /* with the start that is due: should this daemon not come that far, the next one does */
}

/* What a VM that was active can be now: gone with the host's last boot, or in the hands of a monitor that comes back.
 */
static void review_active(VM *vm) {
        Runtime *rt = vm->runtime;
        uint64_t last_seen = vm->record->started_at ?: now_realtime();

        if (!vm_state_is_active(vm_state(vm)))
                return;
        if (strcmp(vm->record->host_boot, rt->host_boot) != 0) {
                vm->awaited = false;
                vm_ended(vm, EXIT_HOST_REBOOT, 0, last_seen, "the host was restarted", NULL);
                return;
        }
        if (vm_state(vm) == VM_PREPARING) {
                vm_ended(vm, EXIT_LOST, 0, last_seen, "the daemon ended while the VM was prepared", NULL);
                return;
        }
        /* The record of a boot is its monitor's last word; without it the monitor is alive, or it is lost. */
        if (vm_end_is_recorded(vm))
                return;
        vm->awaited = true;
        if (vm->record->started_at > 0) /* until its monitor tells better */
                vm->running_since = vm_monotonic_of(vm->record->started_at);
}

static void review(VM *vm) {
        g_autofree char *name = g_strdup(vm->name);
        Runtime *rt = vm->runtime;

        if (!vm->record)
                return;
        if (vm_is_pulling(vm)) { /* its image did not come */
                vm_discard(vm);
                return;
        }
        review_active(vm);
        if (runtime_find_vm(rt, name) != vm) /* an ephemeral one has gone */
                return;
        review_host(vm);
        restart_resume(vm);
}

static int on_grace(sd_event_source *source, uint64_t usec, void *userdata) {
        Runtime *rt = userdata;
        g_autoptr(GPtrArray) lost = g_ptr_array_new();
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (((VM *) value)->awaited)
                        g_ptr_array_add(lost, value);
        for (guint i = 0; i < lost->len; i++) {
                VM *vm = lost->pdata[i];
                g_autofree char *unit = vm_unit(vm);

                systemd_stop_and_forget(rt->systemd, unit);
                vm_ended_by_record(vm);
        }
        rt->grace = sd_event_source_unref(rt->grace);
        return 0;
}

bool runtime_awaits_monitors(Runtime *rt) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (((VM *) value)->awaited)
                        return true;
        return false;
}

static int on_clean(sd_event_source *source, uint64_t usec, void *userdata) {
        Runtime *rt = userdata;

        if (rt->unclean->len == 0) {
                rt->cleaner = sd_event_source_disable_unref(rt->cleaner);
                return 0;
        }
        (void) store_vm_clean(rt->store, rt->unclean->pdata[rt->unclean->len - 1]);
        g_ptr_array_set_size(rt->unclean, (int) rt->unclean->len - 1);
        (void) sd_event_source_set_time(source, 0); /* the next one as soon as there is nothing else to do */
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void when_idle(Runtime *rt, uint64_t delay, sd_event_time_handler_t handler) {
        rt->cleaner = sd_event_source_disable_unref(rt->cleaner);
        if (sd_event_add_time_relative(rt->event, &rt->cleaner, CLOCK_MONOTONIC, delay, 1, handler, rt) < 0 ||
                sd_event_source_set_priority(rt->cleaner, SD_EVENT_PRIORITY_IDLE) < 0)
                log_warning("half files of VMs stay until the next reconciliation");
}

/* What a dead daemon left half written takes room and nothing else, and the user database is somebody else's, to be
 * waited for in threads: who waited for this daemon comes first. */
static int on_leisure(sd_event_source *source, uint64_t usec, void *userdata) {
        Runtime *rt = userdata;

        owners_review(rt);
        when_idle(rt, 0, on_clean);
        return 0;
}

/* A VM goes where its image did not come, or where it was ephemeral and has ended. */
static void review_vms(Runtime *rt) {
        for (guint i = 0; i < rt->unclean->len; i++) {
                VM *vm = runtime_find_vm(rt, rt->unclean->pdata[i]);

                if (vm)
                        review(vm);
        }
}

void runtime_load(Runtime *rt) {
        images_load(rt);
        jobs_load(rt);
        rt->unclean = g_ptr_array_new_with_free_func(g_free);
        store_vms_load(rt->store, read_vm, &rt->limits, on_vm_read, rt);
        networks_load(rt);
        review_vms(rt);
        if (runtime_awaits_monitors(rt))
                (void) sd_event_add_time_relative(
                        rt->event, &rt->grace, CLOCK_MONOTONIC, RUNTIME_GRACE_USEC, 0, on_grace, rt);
        logins_restore(rt->logins);
        fd_store_drop_unclaimed(rt->fd_store);
        runtime_probe_kvm(rt, NULL, NULL, NULL);
        profiles_load(rt);
        when_idle(rt, LEISURE_USEC, on_leisure);
        (void) reconcile(rt, true, NULL, NULL);
}

/* systemctl start mcp-vm@NAME: who may start the unit may start the VM, systemd has asked polkit already. */
static void start_by_unit(VM *vm) {
        g_autoptr(Problem) problem = NULL;
        Job *job;

        if (vm->monitor || vm->ending || !vm->record)
                return;
        if (vm->boot) { /* it starts already, and its unit was not needed yet */
                if (helper_adopt(vm->runtime->launch, &vm_monitor_ops, vm, &vm->monitor) >= 0)
                        boot_take_monitor(vm->boot);
                return;
        }
        if (!vm_state_is_startable(vm_state(vm)) ||
                helper_adopt(vm->runtime->launch, &vm_monitor_ops, vm, &vm->monitor) < 0)
                return;
        log_info("%s: started by its unit", vm->name);
        if (vm_start(vm, vm_owner(vm), NULL, false, &job, &problem) < 0) {
                log_warning("%s: %s", vm->name, problem->text);
                vm->monitor = helper_dismiss(vm->monitor);
        }
}

void runtime_stranger(const char *unit, json_t *hello, void *userdata) {
        Runtime *rt = userdata;
        g_autofree char *instance = NULL;
        json_t *boot = json_object_get(hello, "boot");
        VM *vm;

        bool passt = g_str_has_prefix(unit, "mcp-passt@");

        if (!passt && !g_str_has_prefix(unit, "mcp-vm@"))
                return;
        unit = strchr(unit, '@') + 1;
        instance = g_strndup(unit, strlen(unit) - strlen(".service"));
        vm = g_hash_table_lookup(rt->instances, instance);
        if (!vm) {
                log_notice("mcp-%s@%s.service was started, and no VM has that unit", passt ? "passt" : "vm", instance);
                return;
        }
        if (passt) {
                user_network_adopt(vm, hello);
                return;
        }
        if (vm->awaited && json_is_integer(boot) && json_integer_value(boot) == (json_int_t) vm->record->boot_id) {
                if (helper_adopt(rt->launch, &vm_monitor_ops, vm, &vm->monitor) >= 0)
                        vm_adopt(vm, hello);
                return;
        }
        if (boot)
                return;
        if (vm->awaited) /* the unit began anew, so the boot that was awaited is over */
                vm_ended_by_record(vm);
        if (g_hash_table_lookup(rt->instances, instance) == vm)
                start_by_unit(vm);
}

/* ---- KVM ---- */

static void kvm_known(Runtime *rt, bool usable, const char *text) {
        rt->observer->runtime_changing("Accelerators", rt->observer_data);
        rt->kvm = usable ? KVM_USABLE : KVM_UNUSABLE;
        g_free(rt->kvm_text);
        rt->kvm_text = g_strdup_printf("%s: %s", usable ? "KVM is used" : "TCG is used, KVM is not", text);
        log_info("%s", rt->kvm_text);
        waiters_fire(rt->kvm_waiters, NULL);
}

static void kvm_probed(Runtime *rt, bool usable, const char *text) {
        json_t *fact = json_pack("{s:s, s:b, s:s}", "host_boot", rt->host_boot, "usable", usable, "text", text);

        (void) store_fact_save(rt->store, KVM_FACT, fact);
        json_decref(fact);
        rt->kvm_probe = helper_free(rt->kvm_probe);
        kvm_known(rt, usable, text);
}

static void on_probe_message(Helper *h, json_t *message, void *userdata) {
        const char *text = json_string_value(json_object_get(message, "message"));

        if (strcmp(json_string_value(json_object_get(message, "type")), "done") == 0)
                kvm_probed(userdata, json_is_true(json_object_get(message, "usable")), text ?: "");
}

static void on_probe_end(Helper *h, int r, const char *text, void *userdata) {
        Runtime *rt = userdata;

        /* No word of the probe's own: counts now, and is not remembered. */
        rt->kvm_probe = helper_free(rt->kvm_probe);
        kvm_known(rt, false, r < 0 ? text : "the test guest did not come to its end");
}

static const HelperOps probe_ops = {.message = on_probe_message, .end = on_probe_end};

/* A probe of this boot of the host counts for all of it. */
static bool kvm_remembered(Runtime *rt) {
        json_t *fact = store_fact_load(rt->store, KVM_FACT);
        const char *boot, *text;
        int usable;
        bool known;

        known = fact &&
                json_unpack(fact, "{s:s, s:b, s:s}", "host_boot", &boot, "usable", &usable, "text", &text) >= 0 &&
                strcmp(boot, rt->host_boot) == 0;
        if (known)
                kvm_known(rt, usable, text);
        json_decref(fact);
        return known;
}

void runtime_probe_kvm(Runtime *rt, WaiterDone done, void *userdata, Waiter **ret) {
        int r;

        if (ret)
                *ret = NULL;
        if (rt->kvm == KVM_UNKNOWN && !kvm_remembered(rt)) {
                rt->kvm = KVM_PROBING;
                r = helper_start(rt->launch, KVM_UNIT, json_object(), NULL, NULL, 0, &probe_ops, rt, &rt->kvm_probe);
                if (r < 0)
                        kvm_known(rt, false, "the probe could not be started");
        }
        if (!done)
                return;
        if (rt->kvm == KVM_PROBING)
                *ret = waiter_add(rt->kvm_waiters, done, userdata);
        else
                done(NULL, userdata);
}
