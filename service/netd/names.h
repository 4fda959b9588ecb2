/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/netd-wire.h"

/* Names and addresses: what is well-formed, and what is ours. Pure. */

#define MAC_TEXT_SIZE 18U
#define IPV4_TEXT_SIZE 16U
#define ALIAS_SIZE 64U

#define BRIDGE_ALIAS "mcp:bridge"

/* Cuts what does not fit. s may be NULL. */
void text_copy(char *ret, size_t size, const char *s);

/* An interface name as a bridge of ours may have: 1..15 of [A-Za-z0-9_.-], the first a letter or digit, and not like a
 * TAP of ours. size is that of the array; without a NUL in it the name is not valid. */
bool bridge_name_is_valid(const char *name, size_t size);
#define BRIDGE_NAME_ACCEPTED "1 to 15 of [A-Za-z0-9_.-], the first a letter or digit, not \"mcp\" and digits"

/* 8-4-4-4-12 lower-case hex digits, in an array of size bytes. */
bool uuid_is_valid(const char *uuid, size_t size);

/* "mcp0001" and up; number is 1..NAME_NUMBER_MAX. */
#define NAME_NUMBER_MAX 99999999U
void tap_name_format(char ret[static NETD_INTERFACE_SIZE], uint32_t number);
/* The number of such a name, 0 for any other name. */
uint32_t tap_name_number(const char *name);

/* "mcp:UUID" */
void tap_alias_format(char ret[static ALIAS_SIZE], const char *uuid);
/* The UUID within such an alias, NULL for any other alias (NULL too). */
const char *tap_alias_uuid(const char *alias);

/* Unicast and not zero. */
bool mac_is_valid(const uint8_t mac[static 6]);
void mac_format(char ret[static MAC_TEXT_SIZE], const uint8_t mac[static 6]);
bool mac_parse(const char *text, uint8_t ret[static 6]);
/* The TAP's own, on the host's side: told by the guest's, and never the same. */
void tap_mac(uint8_t ret[static 6], const uint8_t guest[static 6]);
/* The bridge's own: always the same for a name, so that guests find the gateway again when the bridge was made anew. */
void bridge_mac(uint8_t ret[static 6], const char *bridge);

/* IPv4 in host byte order. */
uint32_t ipv4_load(const uint8_t bytes[static 4]);
void ipv4_store(uint8_t ret[static 4], uint32_t address);
void ipv4_format(char ret[static IPV4_TEXT_SIZE], uint32_t address);
bool ipv4_parse(const char *text, uint32_t *ret);

/* prefix 0..32 */
uint32_t prefix_mask(uint8_t prefix);
bool subnets_overlap(uint32_t a, uint8_t a_prefix, uint32_t b, uint8_t b_prefix);
/* In the subnet, and neither its network nor its broadcast address. */
bool subnet_has_host(uint32_t subnet, uint8_t prefix, uint32_t address);
/* Of the kind that hosts have: not 0/8, 127/8, multicast or above. */
bool ipv4_is_host(uint32_t address);
