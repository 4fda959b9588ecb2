/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and addresses: what is taken for well-formed, and for ours. */
#include "unit.h"

#include "netd/names.h"

static bool bridge_name(const char *name) {
        return bridge_name_is_valid(name, strlen(name) + 1);
}

static void test_bridge_names(void **state) {
        char unterminated[NETD_INTERFACE_SIZE];

        assert_true(bridge_name("mcp-br0"));
        assert_true(bridge_name("b"));
        assert_true(bridge_name("br0.100"));
        assert_true(bridge_name("mcp")); /* no digits: no TAP of ours */
        assert_true(bridge_name("a23456789012345"));
        assert_false(bridge_name("a234567890123456")); /* 16 characters */
        assert_false(bridge_name(""));
        assert_false(bridge_name("mcp-br%d"));
        assert_false(bridge_name("."));
        assert_false(bridge_name(".."));
        assert_false(bridge_name("-br0"));
        assert_false(bridge_name("a/b"));
        assert_false(bridge_name("a b"));
        assert_false(bridge_name("a:0"));
        assert_false(bridge_name("a\"b"));
        assert_false(bridge_name("a\nb"));
        assert_false(bridge_name("br\303\244"));
        assert_false(bridge_name("mcp0001"));
        assert_false(bridge_name("mcp1"));
        memset(unterminated, 'a', sizeof unterminated);
        assert_false(bridge_name_is_valid(unterminated, sizeof unterminated));
}

static void test_uuids(void **state) {
        char unterminated[NETD_UUID_SIZE];

        assert_true(uuid_is_valid("01234567-89ab-cdef-0123-456789abcdef", NETD_UUID_SIZE));
        assert_false(uuid_is_valid("01234567-89AB-cdef-0123-456789abcdef", NETD_UUID_SIZE));
        assert_false(uuid_is_valid("01234567-89ab-cdef-0123-456789abcde", NETD_UUID_SIZE));
        assert_false(uuid_is_valid("01234567089ab-cdef-0123-456789abcdef", NETD_UUID_SIZE));
        assert_false(uuid_is_valid("0123456--89ab-cdef-0123-456789abcdef", NETD_UUID_SIZE));
        assert_false(uuid_is_valid("", NETD_UUID_SIZE));
        memset(unterminated, 'a', sizeof unterminated);
        assert_false(uuid_is_valid(unterminated, sizeof unterminated));
}

static void test_tap_names(void **state) {
        char name[NETD_INTERFACE_SIZE];

        tap_name_format(name, 1);
        assert_string_equal(name, "mcp0001");
        assert_int_equal(tap_name_number(name), 1);
        tap_name_format(name, 12345);
        assert_string_equal(name, "mcp12345");
        assert_int_equal(tap_name_number(name), 12345);
        tap_name_format(name, NAME_NUMBER_MAX);
        assert_int_equal(tap_name_number(name), NAME_NUMBER_MAX);

        assert_int_equal(tap_name_number("mcp0000"), 0);
        assert_int_equal(tap_name_number("mcp1"), 0);
        assert_int_equal(tap_name_number("mcp00001"), 0);
        assert_int_equal(tap_name_number("mcp0001x"), 0);
        assert_int_equal(tap_name_number("mcp-br0"), 0);
        assert_int_equal(tap_name_number("mcp+001"), 0);
        assert_int_equal(tap_name_number("tap0001"), 0);
        assert_int_equal(tap_name_number("mcp99999999999"), 0);
        assert_int_equal(tap_name_number(""), 0);
}

static void test_aliases(void **state) {
        char alias[ALIAS_SIZE];

        tap_alias_format(alias, "01234567-89ab-cdef-0123-456789abcdef");
        assert_string_equal(alias, "mcp:01234567-89ab-cdef-0123-456789abcdef");
        assert_string_equal(tap_alias_uuid(alias), "01234567-89ab-cdef-0123-456789abcdef");
        assert_null(tap_alias_uuid(NULL));
        assert_null(tap_alias_uuid(""));
        assert_null(tap_alias_uuid("mcp:"));
        assert_null(tap_alias_uuid(BRIDGE_ALIAS));
        assert_null(tap_alias_uuid("mcp:01234567-89ab-cdef-0123-456789abcdef0"));
        assert_null(tap_alias_uuid("other:01234567-89ab-cdef-0123-456789abcdef"));
}

static void test_macs(void **state) {
        uint8_t mac[6], other[6];
        char text[MAC_TEXT_SIZE];

        assert_true(mac_parse("52:54:00:ab:cd:ef", mac));
        assert_true(mac_is_valid(mac));
        mac_format(text, mac);
        assert_string_equal(text, "52:54:00:ab:cd:ef");
        assert_false(mac_parse("52:54:00:ab:cd", mac));
        assert_false(mac_parse("52:54:00:AB:CD:EF", mac));
        assert_false(mac_parse("52:54:00:ab:cd:ef:00", mac));
        assert_false(mac_parse("52:54:00:ab:cd:e", mac));
        assert_true(mac_parse("00:00:00:00:00:00", mac));
        assert_false(mac_is_valid(mac));
        assert_true(mac_parse("01:00:5e:00:00:01", mac));
        assert_false(mac_is_valid(mac));
        assert_true(mac_parse("ff:ff:ff:ff:ff:ff", mac));
        assert_false(mac_is_valid(mac));

        assert_true(mac_parse("52:54:00:00:00:01", mac));
        tap_mac(other, mac);
        assert_memory_equal(other, ((uint8_t[]){0xfe, 0x54, 0, 0, 0, 1}), 6);
        mac[0] = 0xfe;
        tap_mac(other, mac);
        assert_memory_not_equal(other, mac, 6);
        assert_true(mac_is_valid(other));

        bridge_mac(mac, "mcp-br0");
        bridge_mac(other, "mcp-br0");
        assert_memory_equal(mac, other, 6);
        bridge_mac(other, "mcp-br1");
        assert_memory_not_equal(mac, other, 6);
        assert_true(mac_is_valid(mac));
        assert_int_equal(mac[0] & 3, 2);
}

static uint32_t ip(const char *text) {
        uint32_t address;

        assert_true(ipv4_parse(text, &address));
        return address;
}

static void test_addresses(void **state) {
        char text[IPV4_TEXT_SIZE];
        uint8_t bytes[4];
        uint32_t address;

        ipv4_store(bytes, ip("10.99.0.1"));
        assert_memory_equal(bytes, ((uint8_t[]){10, 99, 0, 1}), 4);
        assert_int_equal(ipv4_load(bytes), ip("10.99.0.1"));
        ipv4_format(text, 0xffffffff);
        assert_string_equal(text, "255.255.255.255");
        assert_false(ipv4_parse("10.99.0", &address));
        assert_false(ipv4_parse("10.99.0.256", &address));

        assert_true(ipv4_is_host(ip("1.0.0.1")));
        assert_true(ipv4_is_host(ip("223.255.255.254")));
        assert_false(ipv4_is_host(ip("0.1.2.3")));
        assert_false(ipv4_is_host(ip("127.0.0.1")));
        assert_false(ipv4_is_host(ip("224.0.0.1")));
        assert_false(ipv4_is_host(ip("255.255.255.255")));
}

static void test_subnets(void **state) {
        assert_int_equal(prefix_mask(0), 0);
        assert_int_equal(prefix_mask(32), 0xffffffff);
        assert_int_equal(prefix_mask(30), 0xfffffffc);

        assert_true(subnet_has_host(ip("10.99.0.1"), 24, ip("10.99.0.254")));
        assert_false(subnet_has_host(ip("10.99.0.1"), 24, ip("10.99.0.0")));
        assert_false(subnet_has_host(ip("10.99.0.1"), 24, ip("10.99.0.255")));
        assert_false(subnet_has_host(ip("10.99.0.1"), 24, ip("10.99.1.2")));
        assert_true(subnet_has_host(ip("10.99.0.1"), 30, ip("10.99.0.2")));
        assert_false(subnet_has_host(ip("10.99.0.1"), 30, ip("10.99.0.3")));
        /* In these there is no host at all. */
        assert_false(subnet_has_host(ip("10.99.0.1"), 31, ip("10.99.0.0")));
        assert_false(subnet_has_host(ip("10.99.0.1"), 31, ip("10.99.0.1")));
        assert_false(subnet_has_host(ip("10.99.0.1"), 32, ip("10.99.0.1")));

        assert_true(subnets_overlap(ip("10.99.0.1"), 24, ip("10.99.0.200"), 25));
        assert_true(subnets_overlap(ip("10.0.0.0"), 8, ip("10.99.0.1"), 24));
        assert_false(subnets_overlap(ip("10.99.0.1"), 24, ip("10.99.1.1"), 24));
        assert_true(subnets_overlap(ip("10.99.0.1"), 24, ip("1.2.3.4"), 0));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bridge_names),
                cmocka_unit_test(test_uuids),
                cmocka_unit_test(test_tap_names),
                cmocka_unit_test(test_aliases),
                cmocka_unit_test(test_macs),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_subnets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
