/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netd/names.h"

/* Owns the rtnetlink socket for requests: links, addresses, forwarding entries. All return 0 or the kernel's negative
 * errno. */

struct nl_sock;
struct nlmsghdr;

struct kernel {
        struct nl_sock *sock;
        bool out_of_step; /* an answer may be left in it */
        int error;
        bool has_ipv6;
};

/* What we want to know of an interface. */
struct link {
        unsigned ifindex, master, flags;
        uint32_t group;
        uint8_t mac[6]; /* zero where it has none */
        char name[NETD_INTERFACE_SIZE];
        char kind[NETD_INTERFACE_SIZE]; /* "bridge", "tun"; empty: hardware */
        char alias[ALIAS_SIZE];         /* cut when longer: ours are not */
};

int kernel_open(struct kernel *k);
void kernel_close(struct kernel *k);

/* RTM_NEWLINK and RTM_DELLINK. False for other messages, those about bridge ports among them: they look alike. */
bool link_from_message(struct nlmsghdr *header, struct link *ret);

typedef void (*LinkFound)(const struct link *link, void *userdata);
int kernel_links(struct kernel *k, LinkFound found, void *userdata);
/* -ENODEV where there is none of that name. */
int kernel_link(struct kernel *k, const char *name, struct link *ret);

/* Bytes that the kernel took from and gave to an interface. -ENODEV where there is none. */
int kernel_link_traffic(struct kernel *k, unsigned ifindex, uint64_t *ret_taken, uint64_t *ret_given);

struct address {
        unsigned ifindex;
        uint32_t address;
        uint8_t prefix;
};

/* RTM_NEWADDR and RTM_DELADDR of an IPv4 address. */
bool address_from_message(struct nlmsghdr *header, struct address *ret);

typedef void (*AddressFound)(const struct address *address, void *userdata);
int kernel_addresses(struct kernel *k, AddressFound found, void *userdata);
int kernel_address_add(struct kernel *k, unsigned ifindex, uint32_t address, uint8_t prefix);
int kernel_address_remove(struct kernel *k, unsigned ifindex, uint32_t address, uint8_t prefix);

/* A bridge with our alias and its own MAC, up. -EEXIST: there is an interface of that name. */
int kernel_bridge_add(struct kernel *k, const char *name);
/* Its own MAC and alias again. */
int kernel_bridge_repair(struct kernel *k, unsigned ifindex, const char *name);
int kernel_link_up(struct kernel *k, unsigned ifindex);
int kernel_link_down(struct kernel *k, unsigned ifindex);
int kernel_link_remove(struct kernel *k, unsigned ifindex);
/* Many at once: they are moved to the interface group, which is then deleted. Nobody else may be in it. */
int kernel_links_remove(struct kernel *k, const unsigned *ifindexes, size_t n, uint32_t group);

struct attachment {
        unsigned ifindex, bridge;
        uint32_t group;
        bool isolated;
        const char *alias;
        const uint8_t *mac; /* of the guest */
};

/* Into the bridge, isolated or not, without learning, with a static forwarding entry, up: one message to the kernel. */
int kernel_attach(struct kernel *k, const struct attachment *a);
