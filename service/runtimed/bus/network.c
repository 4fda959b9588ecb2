/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.mcp.Runtime1.Network, and the Manager's methods about networks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/manager.h"
#include "bus/message.h"
#include "core/network.h"

static const OptionKey network_keys[] = {{"Bridge", "s"}, {"Subnet", "s"}, {"Gateway", "s"}, {"Managed", "b"},
        {"GatewayPorts", "as"}, {"Isolated", "b"}, {}};

/* ---- Manager ---- */

typedef struct NetworkRequest {
        char *name;
        NetworkSpec *spec;
} NetworkRequest;

static void request_free(void *p) {
        NetworkRequest *q = p;

        g_free(q->name);
        network_spec_free(q->spec);
        g_free(q);
}

static int plan_create(Call *c, sd_bus_error *error) {
        NetworkRequest *q = c->request;
        g_autoptr(Problem) problem = NULL;

        c->detail_network = g_strdup(q->name);
        if (network_check_new(c->bus->runtime, q->name, q->spec, &problem) < 0)
                return bus_error_problem(error, problem);
        return 0;
}

typedef struct Answer {
        sd_bus_message *message;
        char *name;
} Answer;

/* The bridge is up, or the network is gone again. */
static void on_created(const Problem *problem, void *userdata) {
        Answer *a = userdata;

        if (problem)
                answer_problem(a->message, problem);
        else {
                char *path = bus_network_path(a->name);

                (void) sd_bus_reply_method_return(a->message, "o", path);
                free(path);
        }
        sd_bus_message_unref(a->message);
        g_free(a->name);
        g_free(a);
}

static int run_create(Call *c, sd_bus_error *error) {
        NetworkRequest *q = c->request;
        g_autoptr(Problem) problem = NULL;
        Answer *a = g_new(Answer, 1);

        *a = (Answer){sd_bus_message_ref(c->message), g_strdup(q->name)};
        if (network_create(c->bus->runtime, q->name, q->spec, on_created, a, &problem) < 0) {
                sd_bus_message_unref(a->message);
                g_free(a->name);
                g_free(a);
                return bus_error_problem(error, problem);
        }
        return 0;
}

int manager_create_network(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        NetworkSpec *spec = NULL;
        json_t *options;
        NetworkRequest *q;
        const char *name;
        Call *c;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
                r = message_read_options(m, network_keys, &options, error);
        if (r < 0)
                return r;
        r = network_spec_parse(name, options, &spec, &problem);
        json_decref(options);
        if (r < 0)
                return bus_error_problem(error, problem);
        q = g_new(NetworkRequest, 1);
        *q = (NetworkRequest){g_strdup(name), spec};
        c = call_new(userdata, m, "Manager", q, request_free, run_create);
        c->plan = plan_create;
        return call_begin(c, error);
}

int manager_get_network(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *name;
        char *path;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        if (!network_find(b->runtime, name)) {
                g_autofree char *shown = problem_quote(name);

                return bus_error_named(error, "NoSuchNetwork", "there is no network %s", shown);
        }
        path = bus_network_path(name);
        r = sd_bus_reply_method_return(m, "o", path);
        free(path);
        return r;
}

int manager_list_networks(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        Bus *b = userdata;
        GHashTableIter iter;
        gpointer value;
        int r;

        r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        r = answer_list_new(m, "(ssbo)", &reply);
        g_hash_table_iter_init(&iter, b->runtime->networks);
        while (r >= 0 && g_hash_table_iter_next(&iter, NULL, &value)) {
                Network *n = value;
                char *path = bus_network_path(n->name);

                r = sd_bus_message_append(reply, "(ssbo)", n->name, n->spec->bridge, (int) n->up, path);
                free(path);
        }
        return answer_list(reply, r);
}

/* ---- Network ---- */

static int run_remove(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        Network *n = network_find(c->bus->runtime, c->detail_network);

        if (!n)
                return bus_error_named(error, "NoSuchNetwork", "there is no network '%s' any more", c->detail_network);
        if (network_remove(n, &problem) < 0)
                return bus_error_problem(error, problem);
        return sd_bus_reply_method_return(c->message, NULL);
}

static int method_remove(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Network *n = userdata;
        Call *c;
        int r;

        r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        c = call_new(bus_of(n->runtime), m, "Network", NULL, NULL, run_remove);
        c->detail_network = g_strdup(n->name);
        return call_begin(c, error);
}

/* What it would be with these changes. */
static int changed_spec(const Network *n, json_t *changes, NetworkSpec **ret, Problem **ret_problem) {
        json_t *object = network_spec_to_json(n->spec);
        int r;

        (void) json_object_update(object, changes);
        r = network_spec_parse(n->name, object, ret, ret_problem);
        json_decref(object);
        return r;
}

static void changes_free(void *changes) {
        json_decref(changes);
}

static int run_update(Call *c, sd_bus_error *error) {
        Network *n = network_find(c->bus->runtime, c->detail_network);
        g_autoptr(Problem) problem = NULL;
        NetworkSpec *spec = NULL;

        if (!n)
                return bus_error_named(error, "NoSuchNetwork", "there is no network '%s' any more", c->detail_network);
        if (changed_spec(n, c->request, &spec, &problem) < 0)
                return bus_error_problem(error, problem);
        if (network_update(n, spec, answer_done, sd_bus_message_ref(c->message), &problem) < 0) {
                sd_bus_message_unref(c->message);
                return bus_error_problem(error, problem);
        }
        return 0;
}

static int method_update(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const OptionKey keys[] = {{"GatewayPorts", "as"}, {}};
        g_autoptr(NetworkSpec) spec = NULL;
        g_autoptr(Problem) problem = NULL;
        Network *n = userdata;
        json_t *changes;
        Call *c;
        int r;

        r = message_read_options(m, keys, &changes, error);
        if (r < 0)
                return r;
        if (changed_spec(n, changes, &spec, &problem) < 0) {
                json_decref(changes);
                return bus_error_problem(error, problem);
        }
        c = call_new(bus_of(n->runtime), m, "Network", changes, changes_free, run_update);
        c->detail_network = g_strdup(n->name);
        return call_begin(c, error);
}

BUS_GETTER(get_name) {
        return sd_bus_message_append(reply, "s", ((Network *) userdata)->name);
}

BUS_GETTER(get_bridge) {
        return sd_bus_message_append(reply, "s", ((Network *) userdata)->spec->bridge);
}

BUS_GETTER(get_managed) {
        return sd_bus_message_append(reply, "b", (int) ((Network *) userdata)->spec->managed);
}

BUS_GETTER(get_subnet) {
        g_autofree char *subnet = subnet_to_string(((Network *) userdata)->spec->subnet);

        return sd_bus_message_append(reply, "s", subnet);
}

BUS_GETTER(get_gateway) {
        g_autofree char *gateway = ipv4_to_string(((Network *) userdata)->spec->gateway);

        return sd_bus_message_append(reply, "s", gateway);
}

BUS_GETTER(get_isolated) {
        return sd_bus_message_append(reply, "b", (int) ((Network *) userdata)->spec->isolated);
}

BUS_GETTER(get_up) {
        return sd_bus_message_append(reply, "b", (int) ((Network *) userdata)->up);
}

BUS_GETTER(get_gateway_ports) {
        const NetworkSpec *spec = ((Network *) userdata)->spec;
        int r = sd_bus_message_open_container(reply, 'a', "s");

        for (size_t i = 0; i < spec->n_ports && r >= 0; i++) {
                g_autofree char *text =
                        g_strdup_printf("%u/%s", spec->ports[i].port, port_protocol_to_string(spec->ports[i].protocol));

                r = sd_bus_message_append(reply, "s", text);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

BUS_GETTER(get_leases) {
        g_autoptr(GPtrArray) users = network_users(userdata);
        int r = sd_bus_message_open_container(reply, 'a', "(sss)");

        for (guint i = 0; i < users->len && r >= 0; i++) {
                const VM *vm = users->pdata[i];

                r = sd_bus_message_append(reply, "(sss)", vm->name, vm->record->address, vm->record->mac);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

const sd_bus_vtable network_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS(
                "Remove", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, method_remove, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "Update", SD_BUS_ARGS("a{sv}", changes), SD_BUS_NO_RESULT, method_update, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Bridge", "s", get_bridge, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Managed", "b", get_managed, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Subnet", "s", get_subnet, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Gateway", "s", get_gateway, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("GatewayPorts", "as", get_gateway_ports, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Isolated", "b", get_isolated, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Up", "b", get_up, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Leases", "a(sss)", get_leases, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};
