/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/check.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PREFIX_MIN 8U
#define PREFIX_MAX 30U

int refuse(struct netd_reply *reply, enum netd_error error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(reply->text, sizeof reply->text, format, ap);
        va_end(ap);
        reply->error = error;
        return (int) error;
}

int check_uuid(const struct netd_port *p, struct netd_reply *reply) {
        if (uuid_is_valid(p->uuid, sizeof p->uuid))
                return NETD_OK;
        return refuse(reply, NETD_INVALID, "uuid: 8-4-4-4-12 lower-case hex digits are accepted");
}

int check_bridge_name(const struct netd_bridge *b, struct netd_reply *reply) {
        if (bridge_name_is_valid(b->name, sizeof b->name))
                return NETD_OK;
        return refuse(reply, NETD_INVALID, "name: a bridge's name is " BRIDGE_NAME_ACCEPTED);
}

static int check_allowed(const struct config *c, const struct netd_bridge *b, struct netd_reply *reply) {
        if (patterns_match(b->managed ? &c->managed : &c->allowed, b->name))
                return NETD_OK;
        if (c->broken)
                return refuse(
                        reply, NETD_NOT_ALLOWED, "%s: netd.conf has a mistake, see the journal of mcp-netd", b->name);
        return refuse(reply, NETD_NOT_ALLOWED,
                b->managed ? "%s: netd.conf does not let us make that bridge (ManagedBridges=)"
                           : "%s: netd.conf does not let us join that bridge (AllowBridges=)",
                b->name);
}

static int check_gateway(const struct netd_bridge *b, struct netd_reply *reply) {
        uint32_t gateway = ipv4_load(b->gateway);
        char text[IPV4_TEXT_SIZE];

        if (gateway == 0 && b->prefix == 0 && !b->managed)
                return NETD_OK;
        if (b->prefix < PREFIX_MIN || b->prefix > PREFIX_MAX)
                return refuse(
                        reply, NETD_INVALID, "prefix: /%u is not from /%u to /%u", b->prefix, PREFIX_MIN, PREFIX_MAX);
        ipv4_format(text, gateway);
        if (!ipv4_is_host(gateway) || !subnet_has_host(gateway, b->prefix, gateway))
                return refuse(reply, NETD_INVALID,
                        "gateway: %s is no host of a subnet /%u (neither its network nor its broadcast address is one)",
                        text, b->prefix);
        return NETD_OK;
}

static int check_services(const struct netd_bridge *b, struct netd_reply *reply) {
        if (b->n_services > NETD_SERVICES_MAX || (b->n_services > 0 && !b->managed))
                return refuse(reply, NETD_INVALID,
                        "n_services: 0 to %u are accepted for a managed bridge, none for another", NETD_SERVICES_MAX);
        for (unsigned i = 0; i < b->n_services; i++)
                if (b->services[i].port == 0 ||
                        (b->services[i].protocol != IPPROTO_TCP && b->services[i].protocol != IPPROTO_UDP))
                        return refuse(
                                reply, NETD_INVALID, "services: TCP or UDP with a port from 1 to 65535 is accepted");
        return NETD_OK;
}

static int check_overlap(struct net *n, const struct netd_bridge *b, struct netd_reply *reply) {
        for (size_t i = 0; b->prefix != 0 && i < n->n_bridges; i++) {
                const struct bridge *other = &n->bridges[i];

                if (other->wanted && other->prefix != 0 && strcmp(other->name, b->name) != 0 &&
                        subnets_overlap(ipv4_load(b->gateway), b->prefix, other->gateway, other->prefix))
                        return refuse(reply, NETD_IN_USE, "subnet: overlaps with that of %s", other->name);
        }
        return NETD_OK;
}

/* With VMs on it only the services may change. */
static int check_change(struct net *n, const struct netd_bridge *b, struct netd_reply *reply) {
        const struct bridge *old = net_bridge(n, b->name);

        if (!old) {
                if (n->n_bridges < NETD_BRIDGES_MAX)
                        return NETD_OK;
                return refuse(reply, NETD_LIMIT, "there are %u bridges already, the most we take", NETD_BRIDGES_MAX);
        }
        if (!old->wanted || net_ports_on(n, b->name) == 0)
                return NETD_OK;
        if (old->gateway == ipv4_load(b->gateway) && old->prefix == b->prefix && old->managed == (b->managed != 0) &&
                old->isolated == (b->isolated != 0))
                return NETD_OK;
        return refuse(reply, NETD_BUSY, "%s: with VMs on it only its services can be changed", b->name);
}

int check_bridge(struct net *n, const struct netd_bridge *b, struct netd_reply *reply) {
        if (check_bridge_name(b, reply) != NETD_OK)
                return (int) reply->error;
        if (b->managed > 1 || b->isolated > 1)
                return refuse(reply, NETD_INVALID, "managed, isolated: 0 or 1 is accepted");
        if (check_allowed(&n->config, b, reply) == NETD_OK && check_gateway(b, reply) == NETD_OK &&
                check_services(b, reply) == NETD_OK && check_overlap(n, b, reply) == NETD_OK)
                (void) check_change(n, b, reply);
        return (int) reply->error;
}

static int check_port_fields(const struct netd_port *p, bool keep, struct netd_reply *reply) {
        if (check_uuid(p, reply) != NETD_OK)
                return (int) reply->error;
        if (!bridge_name_is_valid(p->bridge, sizeof p->bridge))
                return refuse(reply, NETD_INVALID, "bridge: a bridge's name is " BRIDGE_NAME_ACCEPTED);
        if (!mac_is_valid(p->mac))
                return refuse(reply, NETD_INVALID, "mac: a unicast address that is not zero is accepted");
        if (!keep && (p->queues == 0 || p->queues > NETD_QUEUES_MAX))
                return refuse(reply, NETD_INVALID, "queues: 1 to %u are accepted", NETD_QUEUES_MAX);
        if (!ipv4_is_host(ipv4_load(p->address)))
                return refuse(reply, NETD_INVALID, "address: not an address that a host can have");
        return NETD_OK;
}

static int check_port_place(const struct bridge *b, const struct netd_port *p, struct netd_reply *reply) {
        uint32_t address = ipv4_load(p->address);
        char text[IPV4_TEXT_SIZE], gateway[IPV4_TEXT_SIZE];
        uint8_t mac[6];

        ipv4_format(text, address);
        ipv4_format(gateway, b->gateway);
        if (b->prefix != 0 && !subnet_has_host(b->gateway, b->prefix, address))
                return refuse(
                        reply, NETD_INVALID, "address: %s is no host of the subnet of %s/%u", text, gateway, b->prefix);
        if (b->gateway != 0 && address == b->gateway)
                return refuse(reply, NETD_INVALID, "address: %s is the gateway's", text);
        bridge_mac(mac, b->name);
        if (b->managed && memcmp(mac, p->mac, sizeof mac) == 0)
                return refuse(reply, NETD_INVALID, "mac: it is the gateway's");
        return NETD_OK;
}

static int check_port_unique(struct net *n, const struct netd_port *p, struct netd_reply *reply) {
        for (size_t i = 0; i < n->n_ports; i++) {
                const struct port *other = &n->ports[i];

                if (strcmp(other->uuid, p->uuid) == 0 || !other->identified || strcmp(other->bridge, p->bridge) != 0)
                        continue;
                if (memcmp(other->mac, p->mac, sizeof other->mac) == 0)
                        return refuse(reply, NETD_IN_USE, "mac: %s of VM %s has it", other->name, other->uuid);
                if (other->address == ipv4_load(p->address))
                        return refuse(reply, NETD_IN_USE, "address: %s of VM %s has it", other->name, other->uuid);
        }
        return NETD_OK;
}

int check_port(struct net *n, const struct netd_port *p, bool keep, struct netd_reply *reply) {
        const struct bridge *b;
        const struct port *own;

        if (check_port_fields(p, keep, reply) != NETD_OK)
                return (int) reply->error;
        b = net_bridge(n, p->bridge);
        if (!b || !b->wanted)
                return refuse(reply, NETD_NOT_FOUND, "bridge: %s is not up, say BRIDGE_UP first", p->bridge);
        own = net_port(n, p->uuid);
        if (own && !keep)
                return refuse(reply, NETD_IN_USE, "uuid: the VM has %s already", own->name);
        if (!own && keep)
                return refuse(reply, NETD_NOT_FOUND, "uuid: no TAP of that VM lives");
        if (!keep && n->n_ports == NETD_PORTS_MAX)
                return refuse(reply, NETD_LIMIT, "there are %u ports already, the most we take", NETD_PORTS_MAX);
        if (check_port_place(b, p, reply) == NETD_OK)
                (void) check_port_unique(n, p, reply);
        return (int) reply->error;
}
