/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* IPv4 subnets and the addresses in them. Addresses are host byte order here. */

#define SUBNET_PREFIX_MIN 8U
#define SUBNET_PREFIX_MAX 30U /* a /31 or /32 has no place for a gateway and a VM */
#define SUBNET_ACCEPTED "expected an IPv4 network like 10.99.0.0/24, with a prefix from 8 to 30"

typedef struct Subnet {
        uint32_t network; /* host part zero */
        uint8_t prefix;
} Subnet;

/* "10.99.0.0/24"; the host part may be set and is cleared. -EINVAL. */
int subnet_parse(const char *text, Subnet *ret);
char *subnet_to_string(Subnet s); /* caller frees (g_free) */

int ipv4_parse(const char *text, uint32_t *ret);
char *ipv4_to_string(uint32_t address); /* caller frees (g_free) */

bool subnet_overlaps(Subnet a, Subnet b);
bool subnet_contains(Subnet s, uint32_t address);

/* How many addresses that is: those of hosts. */
uint32_t subnet_hosts(Subnet s);

/* In the subnet, and neither its network nor its broadcast address. */
bool subnet_is_host(Subnet s, uint32_t address);

/* Addresses given out of one subnet: none twice, the gateway never. The time of a lease does not grow with their number
 * while a good part is free. */
typedef struct LeasePool LeasePool;

LeasePool *lease_pool_new(Subnet s, uint32_t gateway);
void lease_pool_free(LeasePool *p);

/* Takes this address. -EADDRINUSE, -EADDRNOTAVAIL where it is none of the subnet's. */
int lease_pool_take(LeasePool *p, uint32_t address);

/* Takes the address that belongs to the name (by a hash of it), or the next free one. -ENOSPC when none is left. */
int lease_pool_take_for(LeasePool *p, const char *name, uint32_t *ret);

void lease_pool_give_back(LeasePool *p, uint32_t address);
uint32_t lease_pool_count(const LeasePool *p);
