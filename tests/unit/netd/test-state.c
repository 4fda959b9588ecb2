/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The picture: entries come, go and are found; the counter of names goes round. */
#include "unit.h"

#include <stdio.h>

#include "netd/state.h"

static void test_bridges(void **state) {
        struct net n = {};
        char name[NETD_INTERFACE_SIZE];

        for (unsigned i = 0; i < NETD_BRIDGES_MAX; i++) {
                struct bridge *b;

                (void) snprintf(name, sizeof name, "mcp-br%u", i);
                b = net_bridge_add(&n, name);
                assert_non_null(b);
                b->ifindex = i + 10;
        }
        assert_null(net_bridge_add(&n, "more"));
        assert_string_equal(net_bridge_by_index(&n, 13)->name, "mcp-br3");
        net_bridge_remove(&n, net_bridge(&n, "mcp-br3"));
        assert_null(net_bridge(&n, "mcp-br3"));
        assert_null(net_bridge_by_index(&n, 13));
        assert_null(net_bridge_by_index(&n, 0));
        assert_non_null(net_bridge(&n, "mcp-br63"));
}

static void test_ports(void **state) {
        struct net n = {};
        char uuid[NETD_UUID_SIZE];

        for (unsigned i = 0; i < NETD_PORTS_MAX; i++) {
                struct port *p;

                (void) snprintf(uuid, sizeof uuid, "00000000-0000-0000-0000-%012x", i);
                p = net_port_add(&n, uuid);
                assert_non_null(p);
                p->ifindex = i + 1;
                (void) strcpy(p->bridge, i % 2 ? "odd" : "even");
        }
        assert_null(net_port_add(&n, "more"));
        assert_int_equal(net_ports_on(&n, "odd"), NETD_PORTS_MAX / 2);
        net_port_remove(&n, net_port_by_index(&n, 2));
        assert_int_equal(net_ports_on(&n, "odd"), NETD_PORTS_MAX / 2 - 1);
        assert_null(net_port(&n, "00000000-0000-0000-0000-000000000001"));
        assert_non_null(net_port(&n, uuid));
        assert_null(net_port_by_index(&n, 0));
        net_free(&n);
        assert_null(net_port(&n, uuid));
}

static void test_named(void **state) {
        struct net n = {};

        net_bridge_add(&n, "b")->named = true;
        net_port_add(&n, "p")->named = true;
        net_forget_named(&n);
        assert_false(net_bridge(&n, "b")->named);
        assert_false(net_port(&n, "p")->named);
        net_free(&n);
}

static void test_numbers(void **state) {
        struct net n = {};

        assert_int_equal(net_next_number(&n), 1);
        net_saw_number(&n, 41);
        net_saw_number(&n, 7);
        assert_int_equal(net_next_number(&n), 42);
        net_saw_number(&n, NAME_NUMBER_MAX);
        assert_int_equal(net_next_number(&n), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bridges),
                cmocka_unit_test(test_ports),
                cmocka_unit_test(test_named),
                cmocka_unit_test(test_numbers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
