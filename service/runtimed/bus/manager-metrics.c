/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.GetMetrics: the numbers of many VMs in one answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/gate.h"
#include "bus/manager.h"
#include "core/metrics.h"
#include "model/name.h"
#include "shared/fd.h"

typedef struct Waiting {
        Bus *bus;
        sd_bus_message *message;
} Waiting;

static int append_number(sd_bus_message *reply, const char *name, char type, uint64_t v) {
        const char *signature = type == 'u' ? "u" : "t";

        return type == 'u' ? sd_bus_message_append(reply, "{sv}", name, signature, (uint32_t) v)
                           : sd_bus_message_append(reply, "{sv}", name, signature, v);
}

static int append_missing(sd_bus_message *reply, const Metrics *m) {
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(reply, "s", "Missing");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "s");
        for (Metric i = 0; i < METRICS_MAX && r >= 0; i++)
                if (!m->known[i])
                        r = sd_bus_message_append(reply, "s", metric_names[i].name);
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(reply);
        return r;
}

static int append_running(sd_bus_message *reply, const VM *vm) {
        const Metrics *m = &vm->metrics;
        int r = append_number(reply, "UptimeUsec", 't', vm_uptime(vm));

        if (r >= 0)
                r = append_number(reply, "MemoryActual", 't', vm->memory_actual);
        for (Metric i = 0; i < METRICS_MAX && r >= 0; i++)
                if (m->known[i])
                        r = append_number(reply, metric_names[i].name, 't', m->value[i]);
        return r < 0 ? r : append_missing(reply, m);
}

static int append_vm(sd_bus_message *reply, const VM *vm) {
        char *path = bus_vm_path(vm->name);
        int r = sd_bus_message_open_container(reply, 'e', "oa{sv}");

        if (r >= 0)
                r = sd_bus_message_append(reply, "o", path);
        free(path);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0 && vm->record)
                r = append_number(reply, "RestartCount", 'u', vm->record->restart_count);
        if (r >= 0 && vm_state_has_guest(vm_state(vm)))
                r = append_running(reply, vm);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void on_known(GPtrArray *names, void *userdata) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        Waiting *w = userdata;
        int r;

        r = sd_bus_message_new_method_return(w->message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{oa{sv}}");
        for (guint i = 0; i < names->len && r >= 0; i++) {
                VM *vm = runtime_find_vm(w->bus->runtime, names->pdata[i]);

                if (vm) /* it may have gone meanwhile */
                        r = append_vm(reply, vm);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                (void) sd_bus_send(w->bus->bus, reply, NULL);
        else
                (void) sd_bus_reply_method_errno(w->message, r, NULL);
        sd_bus_message_unref(w->message);
        g_free(w);
}

static GPtrArray *all_names(Runtime *rt) {
        GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
        GHashTableIter iter;
        gpointer name;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, &name, NULL))
                g_ptr_array_add(names, g_strdup(name));
        return names;
}

static VM *vm_of_path(Runtime *rt, const char *path) {
        char *name = NULL;
        VM *vm = sd_bus_path_decode(path, BUS_ROOT "/vm", &name) > 0 ? runtime_find_vm(rt, name) : NULL;

        free(name);
        return vm;
}

/* Each once: a dictionary has a key once. */
static int read_names(sd_bus_message *m, Runtime *rt, GPtrArray *names, sd_bus_error *error) {
        g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
        const char *path;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "o");
        while (r >= 0 && (r = sd_bus_message_read(m, "o", &path)) > 0) {
                VM *vm = vm_of_path(rt, path);
                g_autofree char *shown = problem_quote(path);

                if (!vm)
                        return bus_error_named(error, "NoSuchVM", "there is no VM at %s", shown);
                if (names->len >= METRICS_VMS_MAX)
                        return bus_error_named(error, "LimitExceeded", "more than %u VMs in one call", METRICS_VMS_MAX);
                if (g_hash_table_add(seen, vm))
                        g_ptr_array_add(names, g_strdup(vm->name));
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int manager_get_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Problem) problem = NULL;
        Bus *b = userdata;
        Waiting *w;
        int r;

        r = read_names(m, b->runtime, names, error);
        if (r < 0) {
                g_ptr_array_unref(names);
                return r;
        }
        if (names->len == 0) {
                g_ptr_array_unref(names);
                names = all_names(b->runtime);
        }
        w = g_new(Waiting, 1);
        *w = (Waiting){b, sd_bus_message_ref(m)};
        if (metrics_ask(b->runtime, names, on_known, w, &problem) < 0) {
                sd_bus_message_unref(w->message);
                g_free(w);
                return bus_error_problem(error, problem);
        }
        return 1;
}
