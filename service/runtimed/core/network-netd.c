/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes networks real: what is asked of mcp-netd, and what it tells. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "core/boot.h"
#include "core/metrics.h"
#include "core/network-private.h"
#include "shared/log.h"

bool network_is_living(const VM *vm) {
        return vm->record && vm_state_is_active(vm_state(vm)) && vm_state(vm) != VM_PREPARING &&
               network_is_bridge(vm->record->spec->network);
}

/* netd's words for the caller. */
static Problem *problem_of(const struct netd_reply *reply) {
        if (!reply)
                return problem_new("ToolMissing", "Network",
                        "mcp-netd gave no answer; see: systemctl status mcp-netd.socket mcp-netd");
        switch (reply->error) {
        case NETD_NOT_ALLOWED:
        case NETD_FOREIGN:
        case NETD_NOT_FOUND:
                return problem_new("BridgeMissing", "Bridge", "%s", reply->text);
        case NETD_INVALID:
                return problem_new("InvalidSpec", "Network", "%s", reply->text);
        case NETD_IN_USE:
        case NETD_BUSY:
                return problem_new("NetworkInUse", "Network", "%s", reply->text);
        case NETD_LIMIT:
                return problem_new("QuotaExceeded", "Network", "%s", reply->text);
        default:
                return problem_new("NetworkFailed", "Network", "%s", reply->text);
        }
}

static void fill_bridge(const Network *n, struct netd_request *request) {
        const NetworkSpec *spec = n->spec;
        uint32_t gateway = htonl(spec->gateway);
        struct netd_bridge *b = &request->bridge;

        *request = (struct netd_request){.verb = NETD_BRIDGE_UP};
        (void) snprintf(b->name, sizeof b->name, "%s", spec->bridge);
        memcpy(b->gateway, &gateway, sizeof b->gateway);
        b->prefix = spec->subnet.prefix;
        b->managed = spec->managed;
        b->isolated = spec->isolated;
        b->n_services = (uint8_t) spec->n_ports;
        for (size_t i = 0; i < spec->n_ports; i++)
                b->services[i] = (struct netd_service){.port = spec->ports[i].port,
                        .protocol = spec->ports[i].protocol == PORT_UDP ? IPPROTO_UDP : IPPROTO_TCP};
}

static bool fill_port(const VM *vm, enum netd_verb verb, uint16_t queues, struct netd_request *request) {
        const VMRecord *record = vm->record;
        const Network *n = network_find(vm->runtime, record->spec->network);
        struct netd_port *p = &request->port;
        struct in_addr address;

        *request = (struct netd_request){.verb = verb};
        if (!n || inet_pton(AF_INET, record->address, &address) != 1 ||
                sscanf(record->mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &p->mac[0], &p->mac[1], &p->mac[2],
                        &p->mac[3], &p->mac[4], &p->mac[5]) != 6)
                return false;
        (void) snprintf(p->uuid, sizeof p->uuid, "%s", record->uuid);
        (void) snprintf(p->bridge, sizeof p->bridge, "%s", n->spec->bridge);
        memcpy(p->address, &address, sizeof p->address);
        p->queues = queues;
        return true;
}

static void set_up(Network *n, bool up) {
        Runtime *rt = n->runtime;

        if (n->up == up)
                return;
        rt->observer->network_changing(n, "Up", rt->observer_data);
        n->up = up;
        log_info("network %s: its bridge %s is %s", n->name, n->spec->bridge, up ? "up" : "down");
}

static Network *find_by_bridge(Runtime *rt, const char *bridge) {
        GHashTableIter iter;
        gpointer network;

        g_hash_table_iter_init(&iter, rt->networks);
        while (g_hash_table_iter_next(&iter, NULL, &network))
                if (strcmp(((Network *) network)->spec->bridge, bridge) == 0)
                        return network;
        return NULL;
}

/* ---- One network ---- */

typedef struct Rise {
        Runtime *runtime;
        char *name;
        VMDone done;
        void *userdata;
} Rise;

static void rise_free(void *p) {
        g_free(((Rise *) p)->name);
        g_free(p);
}

static void on_bridge_up(const struct netd_reply *reply, int *fds, size_t n_fds, void *userdata) {
        Rise *rise = userdata;
        Network *n = network_find(rise->runtime, rise->name);
        g_autoptr(Problem) problem = reply && reply->error == NETD_OK ? NULL : problem_of(reply);

        if (n)
                set_up(n, !problem);
        if (problem)
                log_warning("network %s: %s", rise->name, problem->text);
        if (rise->done)
                rise->done(problem, rise->userdata);
        rise_free(rise);
}

void network_bring_up(Network *n, VMDone done, void *userdata) {
        struct netd_request request;
        Rise *rise = g_new(Rise, 1);

        *rise = (Rise){n->runtime, g_strdup(n->name), done, userdata};
        fill_bridge(n, &request);
        netd_call(n->runtime->netd, &request, on_bridge_up, rise_free, rise);
}

void network_bring_down(Network *n) {
        struct netd_request request = {.verb = NETD_BRIDGE_DOWN};

        (void) snprintf(request.bridge.name, sizeof request.bridge.name, "%s", n->spec->bridge);
        netd_call(n->runtime->netd, &request, NULL, NULL, NULL);
}

/* ---- One VM ---- */

struct NetworkAttachment {
        NetworkAttached done; /* NULL once canceled; then the TAP goes with its descriptors */
        void *userdata;
};

static void on_port_added(const struct netd_reply *reply, int *fds, size_t n_fds, void *userdata) {
        NetworkAttachment *a = userdata;
        g_autoptr(Problem) problem = reply && reply->error == NETD_OK && n_fds > 0 ? NULL : problem_of(reply);

        if (a->done)
                a->done(fds, n_fds, problem, a->userdata);
        g_free(a);
}

NetworkAttachment *network_attach_cancel(NetworkAttachment *a) {
        if (a)
                a->done = NULL;
        return NULL;
}

void network_attach(VM *vm, uint16_t queues, NetworkAttached done, void *userdata, NetworkAttachment **ret) {
        Network *n = network_find(vm->runtime, vm->record->spec->network);
        struct netd_request request;

        *ret = NULL;
        if (!n || !fill_port(vm, NETD_PORT_ADD, queues, &request)) {
                g_autoptr(Problem) p = problem_new("NoSuchNetwork", "Network",
                        "Network: there is no network '%s' any more, or the VM has no address on it",
                        vm->record->spec->network);

                done(NULL, 0, p, userdata); /* may free whatever ret is part of */
                return;
        }
        *ret = g_new(NetworkAttachment, 1);
        **ret = (NetworkAttachment){done, userdata};
        n->wanted = true;
        network_bring_up(
                n, NULL, NULL); /* netd answers in order: the port finds its bridge, or says that it is not there */
        netd_call(vm->runtime->netd, &request, on_port_added, g_free, *ret);
}

void network_detach(VM *vm) {
        struct netd_request request = {.verb = NETD_PORT_REMOVE};

        (void) snprintf(request.port.uuid, sizeof request.port.uuid, "%s", vm->record->uuid);
        netd_call(vm->runtime->netd, &request, NULL, NULL, NULL);
}

static void on_traffic(const struct netd_reply *reply, int *fds, size_t n_fds, void *userdata) {
        VM *vm = reply ? runtime_find_vm_by_uuid(userdata, reply->uuid) : NULL;

        if (vm)
                metrics_of_port(vm, reply->error == NETD_OK ? &reply->traffic : NULL);
}

bool network_ask_traffic(VM *vm) {
        struct netd_request request = {.verb = NETD_PORT_TRAFFIC};

        if (!network_is_living(vm))
                return false;
        (void) snprintf(request.port.uuid, sizeof request.port.uuid, "%s", vm->record->uuid);
        netd_call(vm->runtime->netd, &request, on_traffic, NULL, vm->runtime);
        return true;
}

/* ---- The session ---- */

static void on_kept(const struct netd_reply *reply, int *fds, size_t n_fds, void *userdata) {
        if (reply && reply->error != NETD_OK)
                log_warning("a VM's port %s: %s", reply->interface, reply->text);
}

typedef struct Sweep {
        Runtime *runtime;
        NetworkSwept done; /* or NULL */
        void *userdata;
} Sweep;

static void on_swept(const struct netd_reply *reply, int *fds, size_t n_fds, void *userdata) {
        Sweep *s = userdata;
        unsigned n = reply && reply->error == NETD_OK ? reply->n_bridges + reply->n_ports : 0;

        s->runtime->netd_awaited = false;
        if (n > 0)
                log_notice("mcp-netd removed %u bridges and %u ports that no network or VM has", reply->n_bridges,
                        reply->n_ports);
        if (s->done)
                s->done(n, s->userdata);
        g_free(s);
}

/* A TAP on its way to a boot is nobody's yet. */
static bool has_port(const VM *vm) {
        return network_is_living(vm) || (vm->boot && boot_awaits_port(vm->boot));
}

/* All that should be is named, the rest of ours goes. */
static void name_all(Runtime *rt, NetworkSwept done, void *done_data) {
        const struct netd_request sweep = {.verb = NETD_SWEEP};
        Sweep *s = g_new(Sweep, 1);
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                Network *n = network_is_living(value) ? network_find(rt, ((VM *) value)->record->spec->network) : NULL;

                if (n)
                        n->wanted = true;
        }
        g_hash_table_iter_init(&iter, rt->networks);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (((Network *) value)->wanted)
                        network_bring_up(value, NULL, NULL);
        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                struct netd_request request;

                if (has_port(value) && fill_port(value, NETD_PORT_KEEP, 1, &request))
                        netd_call(rt->netd, &request, on_kept, NULL, NULL);
        }
        *s = (Sweep){rt, done, done_data};
        netd_call(rt->netd, &sweep, on_swept, g_free, s);
}

#define NETD_FACT "netd.json"

/* Remembered for this boot of the host: a daemon that begins with no network has one look at the kernel all the same.
 */
static void remember_netd(Runtime *rt) {
        json_t *fact;

        if (rt->netd_remembered)
                return;
        rt->netd_remembered = true;
        fact = json_pack("{s:s}", "host_boot", rt->host_boot);
        (void) store_fact_save(rt->store, NETD_FACT, fact);
        json_decref(fact);
}

bool networks_were_used(Runtime *rt) {
        json_t *fact = store_fact_load(rt->store, NETD_FACT);
        bool used = g_strcmp0(json_string_value(json_object_get(fact, "host_boot")), rt->host_boot) == 0;

        json_decref(fact);
        return used;
}

bool networks_are_awaited(const Runtime *rt) {
        return rt->netd_awaited;
}

/* Each new connection begins with it. */
static void on_connected(void *userdata) {
        remember_netd(userdata);
        name_all(userdata, NULL, NULL);
}

void networks_sweep(Runtime *rt, NetworkSwept done, void *userdata) {
        const struct netd_request hello = {.verb = NETD_HELLO};

        netd_call(rt->netd, &hello, NULL, NULL, NULL);
        name_all(rt, done, userdata);
}

static void on_event(const struct netd_reply *event, void *userdata) {
        Network *n;

        switch (event->verb) {
        case NETD_EVENT_BRIDGE:
                n = find_by_bridge(userdata, event->interface);
                if (n)
                        set_up(n, event->up);
                if (*event->text)
                        log_notice("bridge %s: %s", event->interface, event->text);
                break;
        case NETD_EVENT_GUARD:
                log_warning("the guard of the networks: %s", event->text);
                break;
        default:
                break;
        }
}

const NetdOps networks_netd_ops = {.connected = on_connected, .event = on_event};
