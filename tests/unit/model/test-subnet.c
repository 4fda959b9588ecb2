/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Subnets, leases and the form of networks. */
#include "unit.h"

#include "model/network-spec.h"
#include "model/subnet.h"

static Subnet subnet(const char *text) {
        Subnet s;

        assert_int_equal(subnet_parse(text, &s), 0);
        return s;
}

static uint32_t address(const char *text) {
        uint32_t a;

        assert_int_equal(ipv4_parse(text, &a), 0);
        return a;
}

static void test_parse(void **state) {
        static const char *const bad[] = {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/7", "10.0.0.0/31", "10.0.0.0/32", "10.0.0/24",
                "10.0.0.0/24 ", "10.0.0.0/+24", "fd00::/64", "10.0.0.0/24/8"};
        g_autofree char *text = subnet_to_string(subnet("10.99.1.7/16"));
        Subnet s = {7, 7};

        assert_string_equal(text, "10.99.0.0/16");
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                assert_int_equal(subnet_parse(bad[i], &s), -EINVAL);
        assert_int_equal(s.network, 7);
}

static void test_relations(void **state) {
        assert_true(subnet_overlaps(subnet("10.0.0.0/8"), subnet("10.99.0.0/24")));
        assert_true(subnet_overlaps(subnet("10.99.0.0/24"), subnet("10.0.0.0/8")));
        assert_false(subnet_overlaps(subnet("10.99.0.0/24"), subnet("10.99.1.0/24")));
        assert_true(subnet_is_host(subnet("10.99.0.0/30"), address("10.99.0.2")));
        assert_false(subnet_is_host(subnet("10.99.0.0/30"), address("10.99.0.0")));
        assert_false(subnet_is_host(subnet("10.99.0.0/30"), address("10.99.0.3")));
        assert_false(subnet_is_host(subnet("10.99.0.0/30"), address("10.99.0.4")));
}

/* A /24 gives out 253 addresses, each once, and never the gateway. */
static void test_leases(void **state) {
        LeasePool *p = lease_pool_new(subnet("10.99.0.0/24"), address("10.99.0.1"));
        uint32_t a, again;

        for (unsigned i = 0; i < 253; i++) {
                g_autofree char *name = g_strdup_printf("vm%u", i);

                assert_int_equal(lease_pool_take_for(p, name, &a), 0);
                assert_true(subnet_is_host(subnet("10.99.0.0/24"), a));
                assert_int_not_equal(a, address("10.99.0.1"));
        }
        assert_int_equal(lease_pool_count(p), 253);
        assert_int_equal(lease_pool_take_for(p, "one-more", &a), -ENOSPC);
        lease_pool_give_back(p, address("10.99.0.77"));
        assert_int_equal(lease_pool_take_for(p, "one-more", &a), 0);
        assert_int_equal(a, address("10.99.0.77"));
        lease_pool_free(p);

        p = lease_pool_new(subnet("10.99.0.0/24"), address("10.99.0.1"));
        assert_int_equal(lease_pool_take_for(p, "web", &a), 0);
        lease_pool_give_back(p, a);
        assert_int_equal(lease_pool_take_for(p, "web", &again), 0);
        assert_int_equal(a, again);
        lease_pool_free(p);
}

static void test_wishes(void **state) {
        LeasePool *p = lease_pool_new(subnet("10.99.0.0/24"), address("10.99.0.1"));

        assert_int_equal(lease_pool_take(p, address("10.99.0.9")), 0);
        assert_int_equal(lease_pool_take(p, address("10.99.0.9")), -EADDRINUSE);
        assert_int_equal(lease_pool_take(p, address("10.99.0.1")), -EADDRNOTAVAIL);
        assert_int_equal(lease_pool_take(p, address("10.99.0.0")), -EADDRNOTAVAIL);
        assert_int_equal(lease_pool_take(p, address("10.99.0.255")), -EADDRNOTAVAIL);
        assert_int_equal(lease_pool_take(p, address("10.99.1.9")), -EADDRNOTAVAIL);
        lease_pool_free(p);
}

/* ---- Networks ---- */

static NetworkSpec *parse(const char *text, Problem **problem) {
        json_t *object = json_loads(text, 0, NULL);
        NetworkSpec *spec = NULL;

        assert_non_null(object);
        (void) network_spec_parse("lab", object, &spec, problem);
        json_decref(object);
        return spec;
}

static void test_network_defaults(void **state) {
        g_autoptr(NetworkSpec) spec = parse("{\"Subnet\": \"10.98.0.0/24\"}", NULL), again = NULL;
        json_t *object = network_spec_to_json(spec);

        assert_string_equal(spec->bridge, "mcp-br-lab");
        assert_int_equal(spec->gateway, address("10.98.0.1"));
        assert_true(spec->managed);
        assert_true(spec->isolated);
        assert_int_equal(network_spec_parse("lab", object, &again, NULL), 0);
        assert_int_equal(again->gateway, spec->gateway);
        json_decref(object);
}

static void test_network_problems(void **state) {
        static const struct {
                const char *text, *key;
        } bad[] = {
                {"{}", "Subnet"},
                {"{\"Subnet\": \"10.98.0.0/31\"}", "Subnet"},
                {"{\"Subnet\": \"10.98.0.0/24\", \"Gateway\": \"10.97.0.1\"}", "Gateway"},
                {"{\"Subnet\": \"10.98.0.0/24\", \"Gateway\": \"10.98.0.255\"}", "Gateway"},
                {"{\"Subnet\": \"10.98.0.0/24\", \"Bridge\": \"sixteen-letters-\"}", "Bridge"},
                {"{\"Subnet\": \"10.98.0.0/24\", \"Bridge\": \"br%d\"}", "Bridge"},
                {"{\"Subnet\": \"10.98.0.0/24\", \"Bridge\": \"a/b\"}", "Bridge"},
                {"{\"Subnet\": \"10.98.0.0/24\", \"GatewayPorts\": [\"0\"]}", "GatewayPorts"},
                {"{\"Subnet\": \"10.98.0.0/24\", \"GatewayPorts\": [\"53/sctp\"]}", "GatewayPorts"},
                {"{\"Subnet\": \"10.98.0.0/24\", \"Managed\": false, \"GatewayPorts\": [\"53/udp\"]}", "GatewayPorts"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autoptr(Problem) problem = NULL;

                assert_null(parse(bad[i].text, &problem));
                assert_string_equal(problem->error, "InvalidSpec");
                assert_string_equal(problem->key, bad[i].key);
        }
        assert_false(network_name_is_valid("user"));
        assert_false(network_name_is_valid("none"));
        assert_false(network_name_is_valid("a.b"));
        assert_false(network_name_is_valid(""));
        assert_true(network_name_is_valid("lab-1"));
}

static void test_hosts(void **state) {
        Subnet s;

        assert_int_equal(subnet_parse("10.0.0.0/30", &s), 0);
        assert_int_equal(subnet_hosts(s), 2);
        assert_int_equal(subnet_parse("10.0.0.0/24", &s), 0);
        assert_int_equal(subnet_hosts(s), 254);
        assert_int_equal(subnet_parse("10.0.0.0/8", &s), 0);
        assert_int_equal(subnet_hosts(s), 16777214);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hosts), cmocka_unit_test(test_parse),
                cmocka_unit_test(test_relations),
                cmocka_unit_test(test_leases),
                cmocka_unit_test(test_wishes),
                cmocka_unit_test(test_network_defaults),
                cmocka_unit_test(test_network_problems),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
