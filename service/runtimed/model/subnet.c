/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IPv4 subnets, and which of their addresses are taken. */
#include "model/subnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

struct LeasePool {
        Subnet subnet;
        uint32_t gateway;
        GHashTable *taken; /* address as pointer */
};

static uint32_t host_mask(uint8_t prefix) {
        return (uint32_t) (0xffffffffULL >> prefix);
}

int ipv4_parse(const char *text, uint32_t *ret) {
        struct in_addr a;

        if (inet_pton(AF_INET, text, &a) != 1)
                return -EINVAL;
        *ret = ntohl(a.s_addr);
        return 0;
}

char *ipv4_to_string(uint32_t address) {
        struct in_addr a = {htonl(address)};
        char text[INET_ADDRSTRLEN];

        return g_strdup(inet_ntop(AF_INET, &a, text, sizeof text));
}

int subnet_parse(const char *text, Subnet *ret) {
        const char *slash = strchr(text, '/');
        g_autofree char *address = NULL;
        guint64 prefix;
        uint32_t a;

        if (!slash || !g_ascii_string_to_unsigned(slash + 1, 10, SUBNET_PREFIX_MIN, SUBNET_PREFIX_MAX, &prefix, NULL))
                return -EINVAL;
        address = g_strndup(text, (gsize) (slash - text));
        if (ipv4_parse(address, &a) < 0)
                return -EINVAL;
        *ret = (Subnet){a & ~host_mask((uint8_t) prefix), (uint8_t) prefix};
        return 0;
}

char *subnet_to_string(Subnet s) {
        g_autofree char *network = ipv4_to_string(s.network);

        return g_strdup_printf("%s/%u", network, s.prefix);
}

bool subnet_contains(Subnet s, uint32_t address) {
        return (address & ~host_mask(s.prefix)) == s.network;
}

bool subnet_overlaps(Subnet a, Subnet b) {
        return subnet_contains(a, b.network) || subnet_contains(b, a.network);
}

bool subnet_is_host(Subnet s, uint32_t address) {
        return subnet_contains(s, address) && address != s.network && address != (s.network | host_mask(s.prefix));
}

uint32_t subnet_hosts(Subnet s) {
        return host_mask(s.prefix) - 1;
}

LeasePool *lease_pool_new(Subnet s, uint32_t gateway) {
        LeasePool *p = g_new(LeasePool, 1);

        *p = (LeasePool){s, gateway, g_hash_table_new(NULL, NULL)};
        return p;
}

void lease_pool_free(LeasePool *p) {
        if (!p)
                return;
        g_hash_table_unref(p->taken);
        g_free(p);
}

int lease_pool_take(LeasePool *p, uint32_t address) {
        if (!subnet_is_host(p->subnet, address) || address == p->gateway)
                return -EADDRNOTAVAIL;
        return g_hash_table_add(p->taken, GUINT_TO_POINTER(address)) ? 0 : -EADDRINUSE;
}

int lease_pool_take_for(LeasePool *p, const char *name, uint32_t *ret) {
        uint32_t hosts = subnet_hosts(p->subnet); /* from network + 1 */
        uint32_t start = g_str_hash(name) % hosts;

        /* Linear probing: short as long as there is room, once around at the worst. */
        for (uint32_t i = 0; i < hosts; i++) {
                uint32_t address = p->subnet.network + 1 + (start + i) % hosts;

                if (lease_pool_take(p, address) == 0) {
                        *ret = address;
                        return 0;
                }
        }
        return -ENOSPC;
}

void lease_pool_give_back(LeasePool *p, uint32_t address) {
        (void) g_hash_table_remove(p->taken, GUINT_TO_POINTER(address));
}

uint32_t lease_pool_count(const LeasePool *p) {
        return g_hash_table_size(p->taken);
}
