/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that are refused, each with its error; and those at the edge that are not. */
#include "unit.h"

#include <netinet/in.h>

#include "netd/check.h"

#define VM_A "00000000-0000-0000-0000-00000000000a"
#define VM_B "00000000-0000-0000-0000-00000000000b"

static const struct netd_bridge good_bridge = {
        .name = "mcp-br0",
        .gateway = {10, 99, 0, 1},
        .prefix = 24,
        .managed = 1,
        .isolated = 1,
        .n_services = 1,
        .services = {{.port = 53, .protocol = IPPROTO_UDP}},
};

static const struct netd_port good_port = {
        .uuid = VM_A,
        .bridge = "mcp-br0",
        .queues = 1,
        .mac = {0x52, 0x54, 0, 0, 0, 1},
        .address = {10, 99, 0, 2},
};

static int setup(void **state) {
        static struct net n;

        net_free(&n);
        n = (struct net){};
        config_defaults(&n.config);
        n.config.allowed = (struct patterns){.n = 1, .items = {"host*"}};
        *state = &n;
        return 0;
}

static int teardown(void **state) {
        net_free(*state);
        return 0;
}

static void add_bridge(struct net *n, const struct netd_bridge *b) {
        struct bridge *added = net_bridge_add(n, b->name);

        added->wanted = true;
        added->managed = b->managed;
        added->isolated = b->isolated;
        added->gateway = ipv4_load(b->gateway);
        added->prefix = b->prefix;
}

static void add_port(struct net *n, const char *uuid, const struct netd_port *p) {
        struct port *added = net_port_add(n, uuid);

        (void) strcpy(added->bridge, p->bridge);
        memcpy(added->mac, p->mac, sizeof added->mac);
        added->address = ipv4_load(p->address);
        added->identified = true;
}

#define assert_bridge(n, error_wanted, text_wanted, ...)                                                               \
        do {                                                                                                           \
                struct netd_bridge b = good_bridge;                                                                    \
                struct netd_reply reply = {};                                                                          \
                __VA_ARGS__;                                                                                           \
                assert_int_equal(check_bridge(n, &b, &reply), error_wanted);                                           \
                assert_int_equal(reply.error, error_wanted);                                                           \
                if (!strstr(reply.text, text_wanted))                                                                  \
                        fail_msg("\"%s\" is not in \"%s\"", text_wanted, reply.text);                                  \
        } while (0)

static void test_bridge_names(void **state) {
        struct net *n = *state;

        assert_bridge(n, NETD_OK, "", );
        assert_bridge(n, NETD_INVALID, "name:", memset(b.name, 'a', sizeof b.name));
        assert_bridge(n, NETD_INVALID, "name:", strcpy(b.name, "mcp-br%d"));
        assert_bridge(n, NETD_INVALID, "name:", b.name[0] = 0);
        assert_bridge(n, NETD_NOT_ALLOWED, "ManagedBridges=", strcpy(b.name, "br0"));
        assert_bridge(n, NETD_NOT_ALLOWED, "AllowBridges=", b.managed = 0);
        assert_bridge(n, NETD_NOT_ALLOWED, "ManagedBridges=", strcpy(b.name, "host0"));
        assert_bridge(n, NETD_OK, "", strcpy(b.name, "host0"); b.managed = b.n_services = 0);
        assert_bridge(n, NETD_INVALID, "managed, isolated", b.managed = 2);
        assert_bridge(n, NETD_INVALID, "managed, isolated", b.isolated = 255);
        n->config = (struct config){.broken = true};
        assert_bridge(n, NETD_NOT_ALLOWED, "mistake", );
}

static void test_subnets(void **state) {
        struct net *n = *state;

        assert_bridge(n, NETD_INVALID, "/31", b.prefix = 31);
        assert_bridge(n, NETD_INVALID, "/32", b.prefix = 32);
        assert_bridge(n, NETD_INVALID, "/255", b.prefix = 255);
        assert_bridge(n, NETD_INVALID, "/7", b.prefix = 7);
        assert_bridge(n, NETD_INVALID, "/0", b.prefix = 0);
        assert_bridge(n, NETD_OK, "", b.prefix = 30);
        assert_bridge(n, NETD_OK, "", b.prefix = 8);
        assert_bridge(n, NETD_INVALID, "gateway: 10.99.0.0", b.gateway[3] = 0);
        assert_bridge(n, NETD_INVALID, "gateway: 10.99.0.255", b.gateway[3] = 255);
        assert_bridge(n, NETD_INVALID, "gateway: 10.99.0.3", b.gateway[3] = 3; b.prefix = 30);
        assert_bridge(n, NETD_INVALID, "gateway: 127", b.gateway[0] = 127);
        assert_bridge(n, NETD_INVALID, "gateway: 224", b.gateway[0] = 224);
        assert_bridge(n, NETD_INVALID, "prefix", memset(b.gateway, 0, 4); b.prefix = 0);
        assert_bridge(n, NETD_OK, "", memset(b.gateway, 0, 4); strcpy(b.name, "host0");
                      b.prefix = b.managed = b.n_services = 0);
}

static void test_services(void **state) {
        struct net *n = *state;

        assert_bridge(n, NETD_INVALID, "n_services", b.n_services = NETD_SERVICES_MAX + 1);
        assert_bridge(n, NETD_INVALID, "n_services", b.managed = 0; strcpy(b.name, "host0"));
        assert_bridge(n, NETD_INVALID, "services:", b.services[0].port = 0);
        assert_bridge(n, NETD_INVALID, "services:", b.services[0].protocol = IPPROTO_ICMP);
        assert_bridge(n, NETD_INVALID, "services:", b.n_services = 2); /* the second is zero */
        assert_bridge(n, NETD_OK, "", b.n_services = 0);
}

static void test_bridge_against_others(void **state) {
        struct net *n = *state;
        char name[NETD_INTERFACE_SIZE] = "mcp-br1";

        add_bridge(n, &good_bridge);
        assert_bridge(n, NETD_OK, "", );
        assert_bridge(n, NETD_IN_USE, "mcp-br0", strcpy(b.name, name));
        assert_bridge(n, NETD_IN_USE, "mcp-br0", strcpy(b.name, name); b.prefix = 8; b.gateway[1] = 1);
        assert_bridge(n, NETD_OK, "", strcpy(b.name, name); b.gateway[2] = 1);
        assert_bridge(n, NETD_OK, "", b.gateway[3] = 9);
        add_port(n, VM_A, &good_port);
        assert_bridge(n, NETD_OK, "", b.n_services = 0);
        assert_bridge(n, NETD_BUSY, "mcp-br0", b.gateway[3] = 9);
        assert_bridge(n, NETD_BUSY, "mcp-br0", b.prefix = 25);
        assert_bridge(n, NETD_BUSY, "mcp-br0", b.isolated = 0);
        for (name[6] = 'a'; n->n_bridges < NETD_BRIDGES_MAX; name[6]++)
                (void) net_bridge_add(n, name);
        assert_bridge(n, NETD_LIMIT, "64", strcpy(b.name, "mcp-br-more"); b.gateway[2] = 1);
        assert_bridge(n, NETD_OK, "", );
}

#define assert_port(n, keep, error_wanted, text_wanted, ...)                                                           \
        do {                                                                                                           \
                struct netd_port p = good_port;                                                                        \
                struct netd_reply reply = {};                                                                          \
                __VA_ARGS__;                                                                                           \
                assert_int_equal(check_port(n, &p, keep, &reply), error_wanted);                                       \
                if (!strstr(reply.text, text_wanted))                                                                  \
                        fail_msg("\"%s\" is not in \"%s\"", text_wanted, reply.text);                                  \
        } while (0)

static void test_port_fields(void **state) {
        struct net *n = *state;
        uint8_t gateway_mac[6];

        assert_port(n, false, NETD_NOT_FOUND, "BRIDGE_UP", );
        (void) net_bridge_add(n, "mcp-br0"); /* found in the kernel, not yet asked for */
        assert_port(n, false, NETD_NOT_FOUND, "BRIDGE_UP", );
        n->n_bridges = 0;
        add_bridge(n, &good_bridge);
        assert_port(n, false, NETD_OK, "", );
        assert_port(n, false, NETD_INVALID, "uuid:", memset(p.uuid, 'a', sizeof p.uuid));
        assert_port(n, false, NETD_INVALID, "bridge:", memset(p.bridge, 'a', sizeof p.bridge));
        assert_port(n, false, NETD_INVALID, "mac:", memset(p.mac, 0, 6));
        assert_port(n, false, NETD_INVALID, "mac:", p.mac[0] |= 1);
        assert_port(n, false, NETD_INVALID, "queues:", p.queues = 0);
        assert_port(n, false, NETD_INVALID, "queues:", p.queues = NETD_QUEUES_MAX + 1);
        assert_port(n, false, NETD_OK, "", p.queues = NETD_QUEUES_MAX);
        assert_port(n, false, NETD_INVALID, "address:", memset(p.address, 0, 4));
        assert_port(n, false, NETD_INVALID, "10.99.1.2", p.address[2] = 1);
        assert_port(n, false, NETD_INVALID, "10.99.0.0", p.address[3] = 0);
        assert_port(n, false, NETD_INVALID, "10.99.0.255", p.address[3] = 255);
        assert_port(n, false, NETD_INVALID, "gateway's", p.address[3] = 1);
        bridge_mac(gateway_mac, "mcp-br0");
        assert_port(n, false, NETD_INVALID, "gateway's", memcpy(p.mac, gateway_mac, 6));
}

static void test_port_against_others(void **state) {
        struct netd_bridge other_bridge = good_bridge;
        struct netd_port other_port = good_port;
        struct net *n = *state;

        strcpy(other_bridge.name, "mcp-br1");
        other_bridge.gateway[2] = 1;
        strcpy(other_port.bridge, "mcp-br1");
        add_bridge(n, &good_bridge);
        add_bridge(n, &other_bridge);
        add_port(n, VM_B, &good_port);
        assert_port(n, false, NETD_IN_USE, "mac:", p.address[3] = 3);
        assert_port(n, false, NETD_IN_USE, "address:", p.mac[5] = 3);
        assert_port(n, false, NETD_OK, "", p.mac[5] = 3; p.address[3] = 3);
        assert_port(n, false, NETD_OK, "", strcpy(p.bridge, "mcp-br1"); p.address[2] = 1);
        assert_port(n, false, NETD_IN_USE, "uuid:", strcpy(p.uuid, VM_B));
        /* PORT_KEEP wants the one that is there, and takes its own address for its own. */
        assert_port(n, true, NETD_OK, "", strcpy(p.uuid, VM_B));
        assert_port(n, true, NETD_NOT_FOUND, "uuid:", );
        while (n->n_ports < NETD_PORTS_MAX)
                (void) net_port_add(n, "");
        assert_port(n, false, NETD_LIMIT, "4096", p.mac[5] = 3; p.address[3] = 3);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_bridge_names, setup, teardown),
                cmocka_unit_test_setup_teardown(test_subnets, setup, teardown),
                cmocka_unit_test_setup_teardown(test_services, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bridge_against_others, setup, teardown),
                cmocka_unit_test_setup_teardown(test_port_fields, setup, teardown),
                cmocka_unit_test_setup_teardown(test_port_against_others, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
