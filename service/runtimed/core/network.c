/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the networks: their records, their leases, who uses them. What makes them real is in network-netd.c. */
#include "core/network.h"

#include <errno.h>
#include <string.h>

#include "core/network-private.h"
#include "core/pools.h"
#include "model/name.h"
#include "qemu/argv.h"
#include "shared/crash-point.h"
#include "shared/log.h"

void network_free(Network *n) {
        if (!n)
                return;
        g_free(n->name);
        network_spec_free(n->spec);
        lease_pool_free(n->pool);
        g_free(n);
}

Network *network_find(Runtime *rt, const char *name) {
        return g_hash_table_lookup(rt->networks, name);
}

static Network *network_new(Runtime *rt, const char *name, NetworkSpec *spec) {
        Network *n = g_new0(Network, 1);

        *n = (Network){.runtime = rt, .name = g_strdup(name), .spec = spec};
        n->pool = lease_pool_new(spec->subnet, spec->gateway);
        (void) g_hash_table_insert(rt->networks, n->name, n);
        return n;
}

static bool is_user(const VM *vm, const Network *n) {
        return vm->record && strcmp(vm->record->spec->network, n->name) == 0;
}

GPtrArray *network_users(Network *n) {
        GPtrArray *users = g_ptr_array_new();
        GHashTableIter iter;
        gpointer vm;

        g_hash_table_iter_init(&iter, n->runtime->vms);
        while (g_hash_table_iter_next(&iter, NULL, &vm))
                if (is_user(vm, n))
                        g_ptr_array_add(users, vm);
        return users;
}

/* ---- Loading ---- */

static void load_record(const char *name, const char *text, size_t len, void *userdata) {
        Runtime *rt = userdata;
        json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        g_autoptr(Problem) problem = NULL;
        NetworkSpec *spec = NULL;

        if (network_spec_parse(name, object, &spec, &problem) < 0 || network_check_new(rt, name, spec, &problem) < 0) {
                log_error("network %s: its record is broken: %s", name, problem->text);
                network_spec_free(spec);
        } else
                network_new(rt, name, spec)->wanted = true;
        json_decref(object);
}

/* The network that the configuration names is there without a record, and comes up when a VM first uses it. */
static void load_builtin(Runtime *rt) {
        const Config *config = rt->config;
        g_autoptr(Problem) problem = NULL;
        NetworkSpec *spec = NULL;
        json_t *object;

        if (!*config->bridge)
                return;
        object = json_pack(
                "{s:s, s:s, s:s}", "Bridge", config->bridge, "Subnet", config->subnet, "Gateway", config->gateway);
        if (network_spec_parse(BUILTIN_NETWORK, object, &spec, &problem) < 0)
                log_error("the network of the configuration is left out: %s", problem->text);
        else
                network_new(rt, BUILTIN_NETWORK, spec)->builtin = true;
        json_decref(object);
}

static void tell_new(gpointer name, gpointer network, gpointer userdata) {
        Runtime *rt = userdata;

        rt->observer->network_new(network, rt->observer_data);
}

static int lease(Network *n, VMRecord *record, Problem **ret_problem);

/* A lease on disk is the VM's, whoever else names the address: the first one read keeps it. */
static void restore_lease(VM *vm) {
        VMRecord *record = vm->record;
        Network *n = record ? network_find(vm->runtime, record->spec->network) : NULL;
        uint32_t address;

        if (!n || !*record->address)
                return;
        if (ipv4_parse(record->address, &address) < 0 || lease_pool_take(n->pool, address) < 0) {
                log_warning("%s: its address %s is not free on network %s; it gets another one", vm->name,
                        record->address, n->name);
                g_free(record->address);
                record->address = g_strdup("");
                (void) lease(n, record, NULL);
                (void) vm_save(vm);
        }
}

void networks_load(Runtime *rt) {
        GHashTableIter iter;
        gpointer value;
        bool wake = networks_were_used(rt);

        load_builtin(rt);
        store_networks_load(rt->store, load_record, rt);
        g_hash_table_foreach(rt->networks, tell_new, rt);
        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                restore_lease(value);
                wake = wake || network_is_living(value);
        }
        g_hash_table_iter_init(&iter, rt->networks);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                wake = wake || ((Network *) value)->wanted;
        rt->netd_awaited = wake;
        if (wake)
                netd_wake(rt->netd);
}

/* ---- Creation and removal ---- */

int network_check_new(Runtime *rt, const char *name, const NetworkSpec *spec, Problem **ret_problem) {
        GHashTableIter iter;
        gpointer value;

        if (network_find(rt, name))
                return problem_set(ret_problem, "NetworkExists", NULL, "there is a network '%s' already", name);
        if (g_hash_table_size(rt->networks) >= NETWORKS_MAX)
                return problem_set(ret_problem, "QuotaExceeded", NULL, "there are %u networks, the limit is %u",
                        g_hash_table_size(rt->networks), NETWORKS_MAX);
        g_hash_table_iter_init(&iter, rt->networks);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const Network *n = value;
                g_autofree char *subnet = subnet_to_string(n->spec->subnet);

                if (strcmp(n->spec->bridge, spec->bridge) == 0)
                        return problem_set(ret_problem, "NetworkExists", "Bridge",
                                "Bridge: '%s' is the bridge of network '%s'", spec->bridge, n->name);
                if (subnet_overlaps(n->spec->subnet, spec->subnet))
                        return problem_set(ret_problem, "InvalidSpec", "Subnet",
                                "Subnet: it overlaps %s of network '%s'", subnet, n->name);
        }
        return 0;
}

typedef struct Creation {
        Network *network;
        VMDone done;
        void *userdata;
} Creation;

static void forget(Network *n) {
        Runtime *rt = n->runtime;

        rt->observer->network_removed(n, rt->observer_data);
        (void) store_network_remove(rt->store, n->name);
        CRASH_POINT(NETWORK_UNRECORDED);
        (void) g_hash_table_remove(rt->networks, n->name);
}

static void on_created(const Problem *problem, void *userdata) {
        Creation *c = userdata;

        CRASH_POINT(NETWORK_UP);
        c->network->creating = false; /* nothing removes it before that */
        if (problem)
                forget(c->network);
        c->done(problem, c->userdata);
        g_free(c);
}

static int save_record(Runtime *rt, const char *name, const NetworkSpec *spec, Problem **ret_problem) {
        json_t *object = network_spec_to_json(spec);
        int r = store_network_save(rt->store, name, object);

        json_decref(object);
        return r < 0 ? problem_set(ret_problem, "NoSpace", NULL, "the network's record could not be written: %s",
                               g_strerror(-r))
                     : 0;
}

int network_create(
        Runtime *rt, const char *name, const NetworkSpec *spec, VMDone done, void *userdata, Problem **ret_problem) {
        json_t *object = network_spec_to_json(spec);
        NetworkSpec *copy = NULL;
        Creation *c;
        int r;

        r = network_check_new(rt, name, spec, ret_problem);
        if (r >= 0)
                r = network_spec_parse(name, object, &copy, ret_problem);
        json_decref(object);
        if (r >= 0)
                r = save_record(rt, name, spec, ret_problem);
        if (r < 0) {
                network_spec_free(copy);
                return r;
        }
        c = g_new(Creation, 1);
        *c = (Creation){network_new(rt, name, copy), done, userdata};
        c->network->wanted = true;
        c->network->creating = true;
        CRASH_POINT(NETWORK_RECORDED);
        rt->observer->network_new(c->network, rt->observer_data);
        network_bring_up(c->network, on_created, c);
        CRASH_POINT(NETWORK_ASKED);
        return 0;
}

static int check_change(Network *n, Problem **ret_problem) {
        if (n->creating || n->updating)
                return problem_set(ret_problem, "Busy", NULL, "network '%s' is being %s", n->name,
                        n->creating ? "created" : "updated");
        if (n->builtin)
                return problem_set(ret_problem, "NotSupported", NULL,
                        "network '%s' is the configuration's (DefaultBridge= in runtime.conf)", n->name);
        return 0;
}

typedef struct NetworkUpdate {
        Network *network;
        NetworkSpec *old;
        VMDone done;
        void *userdata;
} NetworkUpdate;

static NetworkSpec *exchange_spec(Network *n, NetworkSpec *spec) {
        NetworkSpec *old = n->spec;

        n->runtime->observer->network_changing(n, "GatewayPorts", n->runtime->observer_data);
        n->spec = spec;
        return old;
}

static void on_updated(const Problem *problem, void *userdata) {
        NetworkUpdate *u = userdata;
        Network *n = u->network;
        g_autoptr(Problem) unsaved = NULL;

        n->updating = false; /* nothing removes it before that */
        if (problem) {
                u->old = exchange_spec(n, u->old);
                if (save_record(n->runtime, n->name, n->spec, &unsaved) < 0)
                        log_error("network %s: %s", n->name, unsaved->text);
                network_bring_up(n, NULL, NULL);
        }
        network_spec_free(u->old);
        u->done(problem, u->userdata);
        g_free(u);
}

int network_update(Network *n, NetworkSpec *spec, VMDone done, void *userdata, Problem **ret_problem) {
        g_autoptr(NetworkSpec) taken = spec;
        NetworkUpdate *u;
        int r;

        r = check_change(n, ret_problem);
        if (r >= 0)
                r = save_record(n->runtime, n->name, taken, ret_problem);
        if (r < 0)
                return r;
        u = g_new(NetworkUpdate, 1);
        *u = (NetworkUpdate){n, exchange_spec(n, g_steal_pointer(&taken)), done, userdata};
        n->updating = true;
        network_bring_up(n, on_updated, u);
        return 0;
}

int network_remove(Network *n, Problem **ret_problem) {
        g_autoptr(GPtrArray) users = network_users(n);

        if (check_change(n, ret_problem) < 0)
                return -EBUSY;
        if (users->len > 0)
                return problem_set(ret_problem, "NetworkInUse", NULL,
                        "network '%s' has %u VMs, among them '%s'; remove or update them first", n->name, users->len,
                        ((VM *) users->pdata[0])->name);
        network_bring_down(n);
        CRASH_POINT(NETWORK_DOWN);
        forget(n);
        return 0;
}

/* ---- Leases ---- */

static bool mac_is_taken(Runtime *rt, const char *mac) {
        GHashTableIter iter;
        gpointer vm;

        g_hash_table_iter_init(&iter, rt->vms);
        while (g_hash_table_iter_next(&iter, NULL, &vm))
                if (((VM *) vm)->record && strcmp(((VM *) vm)->record->mac, mac) == 0)
                        return true;
        return false;
}

/* The one that belongs to the name, or to the name with a number behind it. */
static char *choose_mac(Runtime *rt, const char *name) {
        char *mac = mac_from_name(name);

        for (unsigned i = 1; mac_is_taken(rt, mac); i++) {
                g_autofree char *other = g_strdup_printf("%s#%u", name, i);

                g_free(mac);
                mac = mac_from_name(other);
        }
        return mac;
}

static int take_wish(Network *n, const char *wish, uint32_t *ret, Problem **ret_problem) {
        g_autofree char *subnet = subnet_to_string(n->spec->subnet);
        int r;

        if (ipv4_parse(wish, ret) < 0)
                return problem_set(
                        ret_problem, "InvalidSpec", "Address", "Address: expected an IPv4 address of %s", subnet);
        r = lease_pool_take(n->pool, *ret);
        if (r == -EADDRINUSE)
                return problem_set(
                        ret_problem, "NoFreeAddress", "Address", "Address: %s is taken on network '%s'", wish, n->name);
        if (r < 0)
                return problem_set(ret_problem, "NoFreeAddress", "Address",
                        "Address: %s is none that network '%s' gives out; expected a host of %s beside the gateway",
                        wish, n->name, subnet);
        return 0;
}

/* Whether its owner may have one is not asked. */
static int lease(Network *n, VMRecord *record, Problem **ret_problem) {
        Runtime *rt = n->runtime;
        const VMSpec *spec = record->spec;
        uint32_t address;
        int r = 0;

        if (*spec->address)
                r = take_wish(n, spec->address, &address, ret_problem);
        else if (lease_pool_take_for(n->pool, record->name, &address) < 0)
                r = problem_set(ret_problem, "NoFreeAddress", "Network",
                        "Network: '%s' has no free address, %u are taken", n->name, lease_pool_count(n->pool));
        if (r < 0)
                return r;
        rt->observer->network_changing(n, "Leases", rt->observer_data);
        g_free(record->address);
        record->address = ipv4_to_string(address);
        if (!*record->mac) {
                char *mac = choose_mac(rt, record->name); /* looks at all records, this one among them */

                g_free(record->mac);
                record->mac = mac;
        }
        return 0;
}

int network_lease(Runtime *rt, VMRecord *record, Problem **ret_problem) {
        const char *name = record->spec->network;
        Network *n;
        int r;

        if (!network_is_bridge(name))
                return 0;
        n = network_find(rt, name);
        if (!n || n->creating)
                return problem_set(ret_problem, "NoSuchNetwork", "Network",
                        "Network: there is no network '%s'; expected user, none or one of ListNetworks", name);
        r = pool_check_address(n, record->owner, record, ret_problem);
        return r < 0 ? r : lease(n, record, ret_problem);
}

void network_give_back(Runtime *rt, const char *network, const char *address) {
        Network *n = network_find(rt, network);
        uint32_t a;

        if (!n || ipv4_parse(address, &a) < 0)
                return;
        rt->observer->network_changing(n, "Leases", rt->observer_data);
        lease_pool_give_back(n->pool, a);
}

void network_release(Runtime *rt, VMRecord *record) {
        network_give_back(rt, record->spec->network, record->address);
        g_free(record->address);
        record->address = g_strdup("");
}

bool network_guest_addresses(VM *vm, char **ret_address, char **ret_gateway) {
        Network *n = network_find(vm->runtime, vm->record->spec->network);

        if (!n)
                return false;
        *ret_address = g_strdup_printf("%s/%u", vm->record->address, n->spec->subnet.prefix);
        *ret_gateway = ipv4_to_string(n->spec->gateway);
        return true;
}
