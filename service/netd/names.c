/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netd/names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAP_PREFIX "mcp"
#define ALIAS_PREFIX "mcp:"

void text_copy(char *ret, size_t size, const char *s) {
        size_t len = s ? strnlen(s, size - 1) : 0;

        memcpy(ret, s ? s : "", len);
        ret[len] = 0;
}

static bool is_alnum(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool bridge_name_is_valid(const char *name, size_t size) {
        size_t len = strnlen(name, size);

        if (len == 0 || len == size || len >= NETD_INTERFACE_SIZE || !is_alnum(name[0]))
                return false;
        for (size_t i = 0; i < len; i++)
                if (!is_alnum(name[i]) && !strchr("_.-", name[i]))
                        return false;
        return strncmp(name, TAP_PREFIX, 3) != 0 || len == 3 || strspn(name + 3, "0123456789") != len - 3;
}

bool uuid_is_valid(const char *uuid, size_t size) {
        if (strnlen(uuid, size) != NETD_UUID_SIZE - 1)
                return false;
        for (size_t i = 0; i < NETD_UUID_SIZE - 1; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;

                if (dash ? uuid[i] != '-' : !strchr("0123456789abcdef", uuid[i]))
                        return false;
        }
        return true;
}

void tap_name_format(char ret[static NETD_INTERFACE_SIZE], uint32_t number) {
        (void) snprintf(ret, NETD_INTERFACE_SIZE, TAP_PREFIX "%04" PRIu32, number);
}

uint32_t tap_name_number(const char *name) {
        char again[NETD_INTERFACE_SIZE];
        unsigned long number;

        if (strncmp(name, TAP_PREFIX, 3) != 0 || !isdigit((unsigned char) name[3]))
                return 0;
        number = strtoul(name + 3, NULL, 10);
        if (number == 0 || number > NAME_NUMBER_MAX)
                return 0;
        tap_name_format(again, (uint32_t) number);
        return strcmp(again, name) == 0 ? (uint32_t) number : 0;
}

void tap_alias_format(char ret[static ALIAS_SIZE], const char *uuid) {
        (void) snprintf(ret, ALIAS_SIZE, ALIAS_PREFIX "%s", uuid);
}

const char *tap_alias_uuid(const char *alias) {
        if (!alias || strncmp(alias, ALIAS_PREFIX, strlen(ALIAS_PREFIX)) != 0)
                return NULL;
        alias += strlen(ALIAS_PREFIX);
        return uuid_is_valid(alias, NETD_UUID_SIZE) ? alias : NULL;
}

bool mac_is_valid(const uint8_t mac[static 6]) {
        static const uint8_t zero[6];

        return (mac[0] & 1) == 0 && memcmp(mac, zero, sizeof zero) != 0;
}

void mac_format(char ret[static MAC_TEXT_SIZE], const uint8_t mac[static 6]) {
        (void) snprintf(
                ret, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

bool mac_parse(const char *text, uint8_t ret[static 6]) {
        char again[MAC_TEXT_SIZE];
        uint8_t m[6];

        if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
                return false;
        mac_format(again, m);
        if (strcmp(again, text) != 0)
                return false;
        memcpy(ret, m, sizeof m);
        return true;
}

void tap_mac(uint8_t ret[static 6], const uint8_t guest[static 6]) {
        memcpy(ret, guest, 6);
        ret[0] = guest[0] == 0xfe ? 0xf6 : 0xfe;
}

/* 02: locally administered; then "mc" and three bytes of FNV-1a of the name. */
void bridge_mac(uint8_t ret[static 6], const char *bridge) {
        uint32_t hash = 2166136261U;

        for (; *bridge; bridge++)
                hash = (hash ^ (uint8_t) *bridge) * 16777619U;
        memcpy(ret, ((const uint8_t[6]){0x02, 'm', 'c', (uint8_t) (hash >> 16), (uint8_t) (hash >> 8), (uint8_t) hash}),
                6);
}

uint32_t ipv4_load(const uint8_t bytes[static 4]) {
        return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3];
}

void ipv4_store(uint8_t ret[static 4], uint32_t address) {
        for (unsigned i = 0; i < 4; i++)
                ret[i] = (uint8_t) (address >> (24 - 8 * i));
}

void ipv4_format(char ret[static IPV4_TEXT_SIZE], uint32_t address) {
        (void) inet_ntop(AF_INET, &(struct in_addr){htonl(address)}, ret, IPV4_TEXT_SIZE);
}

bool ipv4_parse(const char *text, uint32_t *ret) {
        struct in_addr address;

        if (inet_pton(AF_INET, text, &address) != 1)
                return false;
        *ret = ntohl(address.s_addr);
        return true;
}

uint32_t prefix_mask(uint8_t prefix) {
        return prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
}

bool subnets_overlap(uint32_t a, uint8_t a_prefix, uint32_t b, uint8_t b_prefix) {
        uint32_t mask = prefix_mask(a_prefix < b_prefix ? a_prefix : b_prefix);

        return (a & mask) == (b & mask);
}

bool subnet_has_host(uint32_t subnet, uint8_t prefix, uint32_t address) {
        uint32_t mask = prefix_mask(prefix);

        return (address & mask) == (subnet & mask) && (address & ~mask) != 0 && (address & ~mask) != ~mask;
}

bool ipv4_is_host(uint32_t address) {
        uint32_t first = address >> 24;

        return first != 0 && first != 127 && first < 224;
}
