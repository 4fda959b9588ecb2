/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"
#include "launch/netd.h"
#include "model/network-spec.h"

/* Networks: bridges that VMs are ports of, and the addresses on them. mcp-netd makes them real; a VM keeps its address
 * and MAC (in its record) for its life. */
struct Network {
        Runtime *runtime;
        char *name;
        NetworkSpec *spec;
        bool creating; /* CreateNetwork waits for its bridge; it has no VMs yet and cannot be removed */
        bool updating; /* as creating; its VMs go on */
        bool builtin;  /* of the configuration: no record, cannot be removed */
        bool wanted;   /* is to be up: created, or used once */
        bool up;       /* the kernel's state, as netd tells */
        LeasePool *pool;
};

#define NETWORKS_MAX NETD_BRIDGES_MAX
#define BUILTIN_NETWORK "default"

void network_free(Network *n);

/* Reads the records and the configuration's network, then takes the leases of the VMs, which are loaded. */
void networks_load(Runtime *rt);

/* Names all networks and ports to mcp-netd anew, which removes what else it finds of ours; done is told how many. */
typedef void (*NetworkSwept)(unsigned removed, void *userdata);
void networks_sweep(Runtime *rt, NetworkSwept done, void *userdata);

/* Whether a daemon of this boot of the host has used mcp-netd. */
bool networks_were_used(Runtime *rt);

/* Whether mcp-netd was woken at the start, and has not told of its bridges yet. */
bool networks_are_awaited(const Runtime *rt);

/* For netd_new(); userdata is the Runtime. */
extern const NetdOps networks_netd_ops;

Network *network_find(Runtime *rt, const char *name);

/* The VMs that have an address on it: GPtrArray of VM, borrowed, in the caller's container. */
GPtrArray *network_users(Network *n);

/* Defines it, durably, and brings it up; done is called once it is up, or with the problem that made it go again.
 * NetworkExists, InvalidSpec (overlap), QuotaExceeded at once. */
int network_check_new(Runtime *rt, const char *name, const NetworkSpec *spec, Problem **ret_problem);
int network_create(
        Runtime *rt, const char *name, const NetworkSpec *spec, VMDone done, void *userdata, Problem **ret_problem);

/* Other GatewayPorts, durably and at once, under running VMs; all else of spec, which is taken, is as it was. done is
 * called once they hold, or with the problem that left the old ones in place. NotSupported, Busy, NoSpace at once. */
int network_update(Network *n, NetworkSpec *spec, VMDone done, void *userdata, Problem **ret_problem);

/* NetworkInUse while a VM has an address on it. */
int network_remove(Network *n, Problem **ret_problem);

/* Gives the VM's record an address and a MAC where its spec names a bridge network, and takes them back. NoSuchNetwork,
 * NoFreeAddress, QuotaExceeded. */
int network_lease(Runtime *rt, VMRecord *record, Problem **ret_problem);
void network_release(Runtime *rt, VMRecord *record);
void network_give_back(Runtime *rt, const char *network, const char *address);

/* A guarded TAP for the VM: its descriptors are the callee's where it sets them to -1. problem NULL: done. */
typedef void (*NetworkAttached)(int *fds, size_t n_fds, const Problem *problem, void *userdata);
typedef struct NetworkAttachment NetworkAttachment;

/* *ret is NULL when done was called at once. A canceled one is not told of any more; NULL is fine, returns NULL. */
void network_attach(VM *vm, uint16_t queues, NetworkAttached done, void *userdata, NetworkAttachment **ret);
NetworkAttachment *network_attach_cancel(NetworkAttachment *a);
void network_detach(VM *vm);

/* Asks for the traffic of a VM that has a TAP: metrics_of_port() gets it. False where it has none. */
bool network_ask_traffic(VM *vm);

/* "10.99.0.2/24" and the gateway of the VM's network; the caller frees. False for a VM on none. */
bool network_guest_addresses(VM *vm, char **ret_address, char **ret_gateway);
