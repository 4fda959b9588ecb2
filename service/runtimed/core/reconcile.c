/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the pass that compares what should be with what is, and repairs the difference. */
#include "core/reconcile.h"

#include <errno.h>
#include <string.h>

#include "core/image-private.h"
#include "core/network.h"
#include "core/vm.h"
#include "shared/log.h"

typedef struct Waiting {
        ReconcileDone done;
        void *userdata;
} Waiting;

struct Reconciliation {
        Runtime *runtime;
        unsigned repaired;
        unsigned pending; /* answers that are still due */
        sd_bus_slot *listing;
        GArray *waiting; /* Waiting */
};

void reconciliation_free(struct Reconciliation *pass) {
        if (!pass)
                return;
        sd_bus_slot_unref(pass->listing);
        g_array_unref(pass->waiting);
        g_free(pass);
}

static void finish_part(struct Reconciliation *pass) {
        if (--pass->pending > 0)
                return;
        pass->runtime->pass = NULL;
        if (pass->repaired > 0)
                log_notice("reconciled: %u repairs", pass->repaired);
        for (guint i = 0; i < pass->waiting->len; i++) {
                Waiting *w = &g_array_index(pass->waiting, Waiting, i);

                w->done(pass->repaired, w->userdata);
        }
        reconciliation_free(pass);
}

/* ---- Units and VMs ---- */

static bool is_alive(const char *state) {
        return state && strcmp(state, "inactive") != 0 && strcmp(state, "failed") != 0;
}

static VM *vm_of(Runtime *rt, const char *unit) {
        const char *at = strchr(unit, '@');
        g_autofree char *instance = at ? g_strndup(at + 1, strlen(at + 1) - strlen(".service")) : NULL;

        return instance ? g_hash_table_lookup(rt->instances, instance) : NULL;
}

/* A unit that runs for nobody. */
static bool is_stray(Runtime *rt, const char *unit, const char *state) {
        VM *vm;

        if (!is_alive(state) || strcmp(state, "deactivating") == 0 || !launch_is_helper(unit) ||
                launch_runs(rt->launch, unit))
                return false;
        vm = vm_of(rt, unit);
        if (g_str_has_prefix(unit, "mcp-vm@")) /* one that is not up yet asks us, and hears what it is to do */
                return strcmp(state, "active") == 0 && !(vm && (vm->awaited || vm->ending || vm->stopped_outside));
        if (g_str_has_prefix(unit, "mcp-passt@"))
                return !(
                        vm && vm_state_is_active(vm_state(vm)) && strcmp(vm->record->spec->network, NETWORK_USER) == 0);
        return true;
}

static void stop_strays(struct Reconciliation *pass, GHashTable *units) {
        Runtime *rt = pass->runtime;
        GHashTableIter iter;
        gpointer unit, state;

        g_hash_table_iter_init(&iter, units);
        while (g_hash_table_iter_next(&iter, &unit, &state))
                if (is_stray(rt, unit, state)) {
                        log_notice("%s runs for nobody, and is stopped", (char *) unit);
                        systemd_stop_and_forget(rt->systemd, unit);
                        pass->repaired++;
                }
}

/* What a VM says it is must have a unit behind it. */
static void end_unitless(struct Reconciliation *pass, GHashTable *units) {
        g_autoptr(GPtrArray) gone = g_ptr_array_new();
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, pass->runtime->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                VM *vm = value;
                g_autofree char *unit = vm->awaited ? vm_unit(vm) : NULL;

                if (unit && !is_alive(g_hash_table_lookup(units, unit)))
                        g_ptr_array_add(gone, vm);
        }
        for (guint i = 0; i < gone->len; i++) {
                VM *vm = gone->pdata[i];

                log_notice("%s: it is %s, and its unit has gone", vm->name, vm_state_to_string(vm_state(vm)));
                vm_ended_by_record(vm);
                pass->repaired++;
        }
}

static void on_units(GHashTable *units, void *userdata) {
        struct Reconciliation *pass = userdata;

        if (units) {
                systemd_listed(pass->runtime->systemd, units);
                end_unitless(pass, units);
                stop_strays(pass, units);
        } else
                log_warning("systemd does not tell which units there are");
        finish_part(pass);
}

/* ---- Networks ---- */

static void on_swept(unsigned removed, void *userdata) {
        struct Reconciliation *pass = userdata;

        pass->repaired += removed;
        finish_part(pass);
}

/* ---- Files ---- */

static void count_record(struct Reconciliation *pass, const char *what, const char *name, int r) {
        if (r < 0)
                log_error(
                        "the record of %s %s is not on disk, and could not be written: %s", what, name, g_strerror(-r));
        else {
                log_notice("the record of %s %s was not on disk, and is written", what, name);
                pass->repaired++;
        }
}

/* Of VMs at rest: the others are about to write. */
static void save_vms(struct Reconciliation *pass) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, pass->runtime->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                VM *vm = value;
                json_t *record;

                if (!vm->record || vm->job || vm->boot || vm->saver ||
                        vm_state(vm) == VM_PAUSED) /* of which no record tells */
                        continue;
                record = vm_record_to_json(vm->record);
                if (!store_vm_is_saved(pass->runtime->store, vm->name, record))
                        count_record(pass, "VM", vm->name, vm_save(vm));
                json_decref(record);
        }
}

static void save_images(struct Reconciliation *pass) {
        Store *store = pass->runtime->store;
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, pass->runtime->images);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                Image *i = value;
                json_t *record = image_to_json(i);

                if (!store_image_is_saved(store, i->owner, i->hex, record))
                        count_record(pass, "image", i->id, store_image_save(store, i->owner, i->hex, record));
                json_decref(record);
        }
}

static void save_networks(struct Reconciliation *pass) {
        Store *store = pass->runtime->store;
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, pass->runtime->networks);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                Network *n = value;
                json_t *record = n->builtin ? NULL : network_spec_to_json(n->spec);

                if (record && !store_network_is_saved(store, n->name, record))
                        count_record(pass, "network", n->name, store_network_save(store, n->name, record));
                json_decref(record);
        }
}

static void repair_files(struct Reconciliation *pass) {
        Store *store = pass->runtime->store;
        unsigned half = store_clean(store);

        save_vms(pass);
        save_images(pass);
        save_networks(pass);
        half += store_images_load(store, NULL, NULL);
        if (half > 0)
                log_notice("%u files that belong to nothing are removed", half);
        pass->repaired += half;
}

/* ---- */

static struct Reconciliation *begin(Runtime *rt, bool at_start) {
        struct Reconciliation *pass = g_new0(struct Reconciliation, 1);

        *pass = (struct Reconciliation){
                .runtime = rt, .waiting = g_array_new(FALSE, FALSE, sizeof(Waiting)), .pending = 1};
        rt->pass = pass;
        if (!at_start)
                repair_files(pass);
        pass->pending++;
        if (systemd_list(rt->systemd, "mcp-*@*.service", on_units, pass, &pass->listing) < 0)
                pass->pending--;
        if (!at_start && networks_were_used(rt)) { /* at the start its session does the same */
                pass->pending++;
                networks_sweep(rt, on_swept, pass);
        }
        return pass;
}

int reconcile(Runtime *rt, bool at_start, ReconcileDone done, void *userdata) {
        struct Reconciliation *pass = rt->pass;
        bool is_new = !pass;

        if (pass && pass->waiting->len >= RECONCILE_WAITING_MAX)
                return -EBUSY;
        if (is_new)
                pass = begin(rt, at_start);
        if (done) {
                Waiting w = {done, userdata};

                (void) g_array_append_val(pass->waiting, w);
        }
        if (is_new)
                finish_part(pass);
        return 0;
}
