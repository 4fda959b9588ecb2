/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rule set as text, against what it was when people last read it; and what is read back from nft. */
#include "unit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "netd/rules.h"

static const struct bridge bridge = {
        .name = "mcp-br0",
        .wanted = true,
        .managed = true,
        .isolated = true,
        .gateway = 0x0a630001,
        .prefix = 24,
        .n_services = 2,
        .services = {{.port = 53, .protocol = IPPROTO_UDP}, {.port = 443, .protocol = IPPROTO_TCP}},
};

static const struct port port = {
        .uuid = "00000000-0000-0000-0000-00000000000a",
        .name = "mcp0001",
        .bridge = "mcp-br0",
        .identified = true,
        .managed = true,
        .isolated = true,
        .mac = {0x52, 0x54, 0, 0, 0, 1},
        .address = 0x0a630002,
};

static const char base[] =
        "add table bridge mcp_runtime\n"
        "add counter bridge mcp_runtime spoofed\n"
        "add counter bridge mcp_runtime offers\n"
        "add counter bridge mcp_runtime crossed\n"
        "add set bridge mcp_runtime identities { typeof iifname . ether saddr . ip saddr; }\n"
        "add set bridge mcp_runtime gateways { type ether_addr; }\n"
        "add element bridge mcp_runtime gateways { ff:ff:ff:ff:ff:ff }\n"
        "add chain bridge mcp_runtime guard\n"
        "flush chain bridge mcp_runtime guard\n"
        "add chain bridge mcp_runtime identified\n"
        "flush chain bridge mcp_runtime identified\n"
        "add chain bridge mcp_runtime prerouting { type filter hook prerouting priority -300; policy accept; }\n"
        "flush chain bridge mcp_runtime prerouting\n"
        "add chain bridge mcp_runtime input { type filter hook input priority -300; policy accept; }\n"
        "flush chain bridge mcp_runtime input\n"
        "add chain bridge mcp_runtime forward { type filter hook forward priority -300; policy accept; }\n"
        "flush chain bridge mcp_runtime forward\n"
        "add rule bridge mcp_runtime guard ether type ip iifname . ether saddr . ip saddr @identities goto identified\n"
        "add rule bridge mcp_runtime guard ether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4"
        " arp operation { request, reply } iifname . ether saddr . arp saddr ip @identities"
        " iifname . arp saddr ether . arp saddr ip @identities goto identified\n"
        "add rule bridge mcp_runtime guard counter name spoofed drop\n"
        "add rule bridge mcp_runtime identified ether type ip udp sport 67 counter name offers drop\n"
        "add rule bridge mcp_runtime identified ether type ip icmp type redirect counter name spoofed drop\n"
        "add rule bridge mcp_runtime identified ether type ip ip option lsrr exists counter name spoofed drop\n"
        "add rule bridge mcp_runtime identified ether type ip ip option ssrr exists counter name spoofed drop\n"
        "add rule bridge mcp_runtime identified meta iifgroup 1835233280 ether daddr != @gateways counter name crossed "
        "drop\n"
        "add rule bridge mcp_runtime prerouting meta iifgroup 1835233280-1835237375 jump guard\n"
        "add rule bridge mcp_runtime input meta iifgroup 1835233280-1835237375"
        " ether daddr and ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 counter name spoofed drop\n"
        "add rule bridge mcp_runtime forward meta iifgroup 1835233280 counter name crossed drop\n"
        "add rule bridge mcp_runtime forward meta iifgroup 1835233281 meta oifgroup != 1835233281 counter name crossed "
        "drop\n"
        "add rule bridge mcp_runtime forward meta iifgroup 1835233282 meta oifgroup 1835233282 counter name crossed "
        "drop\n"
        "add table inet mcp_runtime\n"
        "add counter inet mcp_runtime refused\n"
        "add counter inet mcp_runtime routed\n"
        "add set inet mcp_runtime managed { type ifname; }\n"
        "add set inet mcp_runtime within { typeof iifname . oifname; }\n"
        "add map inet mcp_runtime bridges { type ifname : verdict; }\n"
        "add chain inet mcp_runtime input { type filter hook input priority -10; policy accept; }\n"
        "flush chain inet mcp_runtime input\n"
        "add chain inet mcp_runtime forward { type filter hook forward priority -10; policy accept; }\n"
        "flush chain inet mcp_runtime forward\n"
        "add rule inet mcp_runtime input iifname vmap @bridges\n"
        "add rule inet mcp_runtime forward iifname . oifname @within accept\n"
        "add rule inet mcp_runtime forward iifname @managed counter name routed drop\n"
        "add rule inet mcp_runtime forward oifname @managed counter name routed drop\n";

static const char bridge_text[] =
        "add chain inet mcp_runtime from-mcp-br0\n"
        "flush chain inet mcp_runtime from-mcp-br0\n"
        "add rule inet mcp_runtime from-mcp-br0 ct state established,related accept\n"
        "add rule inet mcp_runtime from-mcp-br0 ip daddr 10.99.0.1 icmp type echo-request limit rate 50/second accept\n"
        "add rule inet mcp_runtime from-mcp-br0 ip daddr 10.99.0.1 meta l4proto . th dport { udp . 53, tcp . 443 } "
        "accept\n"
        "add rule inet mcp_runtime from-mcp-br0 counter name refused drop\n"
        "add element inet mcp_runtime managed { \"mcp-br0\" }\n"
        "add element inet mcp_runtime bridges { \"mcp-br0\" : jump from-mcp-br0 }\n"
        "add element bridge mcp_runtime gateways { 02:6d:63:1d:62:8a }\n"
        "add element inet mcp_runtime within { \"mcp-br0\" . \"mcp-br0\" }\n"
        "delete element inet mcp_runtime within { \"mcp-br0\" . \"mcp-br0\" }\n";

static const char port_text[] =
        "add element bridge mcp_runtime identities { \"mcp0001\" . 52:54:00:00:00:01 . 10.99.0.2 }\n";

/* What is written between begin() and end(). */
static char *text;
static size_t size;

static FILE *begin(void) {
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        return f;
}

static void end(FILE *f, const char *wanted) {
        assert_int_equal(fclose(f), 0);
        assert_string_equal(text, wanted);
        free(text);
}

static void test_base(void **state) {
        FILE *f = begin();

        rules_write_base(f);
        end(f, base);
}

static void test_bridge(void **state) {
        struct bridge b = bridge;
        FILE *f = begin();

        rules_write_bridge(f, &b);
        end(f, bridge_text);
        b.managed = false;
        f = begin();
        rules_write_bridge(f, &b);
        end(f, "");
}

static void test_bridge_without_services(void **state) {
        struct bridge b = bridge;
        FILE *f = begin();

        b.n_services = 0;
        rules_write_bridge(f, &b);
        assert_int_equal(fflush(f), 0);
        assert_null(strstr(text, "dport"));
        assert_non_null(strstr(text, "refused drop"));
        assert_int_equal(fclose(f), 0);
        free(text);
}

static void test_bridge_removal(void **state) {
        FILE *f = begin();

        rules_write_bridge_removal(f, "mcp-br0");
        end(f, "add chain inet mcp_runtime from-mcp-br0\n"
               "add element inet mcp_runtime bridges { \"mcp-br0\" : jump from-mcp-br0 }\n"
               "add element inet mcp_runtime managed { \"mcp-br0\" }\n"
               "add element bridge mcp_runtime gateways { 02:6d:63:1d:62:8a }\n"
               "add element inet mcp_runtime within { \"mcp-br0\" . \"mcp-br0\" }\n"
               "delete element inet mcp_runtime bridges { \"mcp-br0\" : jump from-mcp-br0 }\n"
               "delete element inet mcp_runtime managed { \"mcp-br0\" }\n"
               "delete element bridge mcp_runtime gateways { 02:6d:63:1d:62:8a }\n"
               "delete element inet mcp_runtime within { \"mcp-br0\" . \"mcp-br0\" }\n"
               "flush chain inet mcp_runtime from-mcp-br0\n"
               "delete chain inet mcp_runtime from-mcp-br0\n");
}

static void test_port(void **state) {
        struct port p = port;
        FILE *f = begin();

        rules_write_port(f, &p);
        end(f, port_text);
        f = begin();
        rules_write_port_removal(f, &p);
        end(f, "add element bridge mcp_runtime identities { \"mcp0001\" . 52:54:00:00:00:01 . 10.99.0.2 }\n"
               "delete element bridge mcp_runtime identities { \"mcp0001\" . 52:54:00:00:00:01 . 10.99.0.2 }\n");
        p.identified = false;
        f = begin();
        rules_write_port(f, &p);
        rules_write_port_removal(f, &p);
        end(f, "");
}

static void test_groups(void **state) {
        struct port p = port;

        assert_int_equal(port_group(&p), PORT_GROUP);
        p.isolated = false;
        assert_int_equal(port_group(&p), PORT_GROUP | PORT_GROUP_OPEN);
        p.managed = false;
        assert_int_equal(port_group(&p), PORT_GROUP | PORT_GROUP_OPEN | PORT_GROUP_JOINED);
        p.isolated = true;
        assert_int_equal(port_group(&p), PORT_GROUP | PORT_GROUP_JOINED);
}

static void test_all(void **state) {
        char *wanted = NULL;
        struct net n = {};
        FILE *f;

        *net_bridge_add(&n, "mcp-br0") = bridge;
        (void) net_bridge_add(&n, "mcp-br1"); /* not asked for yet: nothing is known of it */
        *net_port_add(&n, port.uuid) = port;
        assert_true(asprintf(&wanted,
                            "add table bridge mcp_runtime\ndelete table bridge mcp_runtime\n"
                            "add table inet mcp_runtime\ndelete table inet mcp_runtime\n%s%s%s",
                            base, bridge_text, port_text) > 0);
        f = begin();
        rules_write_all(f, &n);
        end(f, wanted);
        free(wanted);
        net_free(&n);
}

static char found[512];

static void note(const char *interface, const uint8_t mac[static 6], uint32_t address, void *userdata) {
        char mac_text[MAC_TEXT_SIZE], address_text[IPV4_TEXT_SIZE];
        size_t used = strlen(found);

        mac_format(mac_text, mac);
        ipv4_format(address_text, address);
        (void) snprintf(found + used, sizeof found - used, "%s %s %s\n", interface, mac_text, address_text);
}

static void test_parse_identities(void **state) {
        char good[] = "table bridge mcp_runtime {\n\tset identities {\n\t\ttypeof iifname . ether saddr . ip saddr\n"
                      "\t\telements = { \"mcp0001\" . 52:54:00:00:00:01 . 10.99.0.2,\n"
                      "\t\t\t     \"mcp12345\" . 52:54:00:00:00:02 . 10.99.0.3 counter packets 0 bytes 0 }\n\t}\n}\n";
        char empty[] = "table bridge mcp_runtime {\n\tset identities {\n\t\ttypeof iifname\n\t}\n}\n";
        char odd[] =
                "elements = { \"a-name-that-is-far-too-long\" . 52:54:00:00:00:01 . 10.99.0.2, \"\" . x, \"mcp0001\" . "
                "52:54:00:00:00:0g . 10.99.0.2, \"mcp0002\" . 52:54:00:00:00:01 . 10.99.0.999, \"mcp0003\" . "
                "52:54:00:00:00:01 . 10.99.0.4, \"";

        assert_int_equal(rules_parse_identities(good, note, NULL), 2);
        assert_string_equal(found, "mcp0001 52:54:00:00:00:01 10.99.0.2\nmcp12345 52:54:00:00:00:02 10.99.0.3\n");
        assert_int_equal(rules_parse_identities(empty, note, NULL), 0);
        *found = 0;
        assert_int_equal(rules_parse_identities(odd, note, NULL), 1);
        assert_string_equal(found, "mcp0003 52:54:00:00:00:01 10.99.0.4\n");
}

static void test_parse_counter(void **state) {
        static const char list[] = "table bridge mcp_runtime {\n\tcounter spoofed {\n\t\tpackets 12 bytes 345\n\t}\n"
                                   "\tcounter offers {\n\t\tpackets 18446744073709551615 bytes 0\n\t}\n}\n";

        assert_int_equal(rules_parse_counter(list, "spoofed"), 12);
        assert_true(rules_parse_counter(list, "offers") == UINT64_MAX);
        assert_int_equal(rules_parse_counter(list, "crossed"), 0);
        assert_int_equal(rules_parse_counter("counter x {", "x"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_base),
                cmocka_unit_test(test_bridge),
                cmocka_unit_test(test_bridge_without_services),
                cmocka_unit_test(test_bridge_removal),
                cmocka_unit_test(test_port),
                cmocka_unit_test(test_groups),
                cmocka_unit_test(test_all),
                cmocka_unit_test(test_parse_identities),
                cmocka_unit_test(test_parse_counter),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
