/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program as a whole, with the kernel, in a user and network namespace of its own: so the sanitizers see it too.
 * What the guard does to frames is seen in tests/host/netd.test. */
#include "netd-case.h"

#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* What its guest sends is counted, also what the guard drops; nobody's is not found. */
static void traffic(unsigned number, int tap) {
        const uint8_t frame[12 + 60] = {0}; /* and the header of a virtual network card */
        struct netd_reply reply;
        uint64_t before;

        assert_int_equal(port(NETD_PORT_TRAFFIC, number, 0, &reply, NULL), NETD_OK);
        assert_int_equal(reply.uuid[NETD_UUID_SIZE - 1], 0);
        before = reply.traffic.sent;
        assert_int_equal(write(tap, frame, sizeof frame), sizeof frame);
        assert_int_equal(port(NETD_PORT_TRAFFIC, number, 0, &reply, NULL), NETD_OK);
        assert_true(reply.traffic.sent >= before + 60 && reply.traffic.sent <= before + sizeof frame);
        assert_int_equal(port(NETD_PORT_TRAFFIC, 99, 0, &reply, NULL), NETD_NOT_FOUND);
        assert_int_not_equal(*reply.uuid, 0);
}

static void test_ports(void **state) {
        struct netd_reply reply;
        int one[NETD_QUEUES_MAX], four[NETD_QUEUES_MAX], none[NETD_QUEUES_MAX];

        start();
        assert_int_equal(port(NETD_PORT_ADD, 10, 1, &reply, none), NETD_NOT_FOUND);
        assert_int_equal(bridge_up(&reply), NETD_OK);
        assert_true(reply.up);
        assert_int_equal(port(NETD_PORT_ADD, 10, 1, &reply, one), NETD_OK);
        assert_string_equal(reply.interface, "mcp0001");
        assert_int_equal(port(NETD_PORT_ADD, 11, 4, &reply, four), NETD_OK);
        assert_int_equal(reply.n_fds, 4);
        assert_int_equal(port(NETD_PORT_ADD, 11, 1, &reply, none), NETD_IN_USE);
        assert_int_equal(call(NETD_STATUS, &reply), NETD_OK);
        assert_int_equal(reply.n_bridges * 100 + reply.n_ports, 102);

        traffic(10, one[0]);

        /* One ends by itself, one is removed. */
        (void) close(one[0]);
        wait_event(NETD_EVENT_PORT_GONE, &reply);
        assert_string_equal(reply.interface, "mcp0001");
        assert_int_equal(port(NETD_PORT_REMOVE, 11, 0, &reply, NULL), NETD_OK);
        assert_int_equal(if_nametoindex("mcp0002"), 0);
        for (unsigned i = 0; i < 4; i++)
                (void) close(four[i]);
        assert_int_equal(call(NETD_HELLO, &reply), NETD_OK);
        assert_int_equal(call(NETD_SWEEP, &reply), NETD_OK);
        assert_int_equal(reply.n_bridges * 100 + reply.n_ports, 100);
        assert_int_equal(if_nametoindex("mcp-br0"), 0);
        stop(SIGTERM, 0);
}

static void test_restart(void **state) {
        struct netd_reply reply;
        int kept[NETD_QUEUES_MAX], swept[NETD_QUEUES_MAX];

        start();
        assert_int_equal(bridge_up(&reply), NETD_OK);
        assert_int_equal(port(NETD_PORT_ADD, 10, 1, &reply, kept), NETD_OK);
        assert_int_equal(port(NETD_PORT_ADD, 11, 1, &reply, swept), NETD_OK);
        stop(SIGKILL, SIGKILL);

        start();
        assert_int_equal(call(NETD_STATUS, &reply), NETD_OK);
        assert_int_equal(reply.n_bridges * 100 + reply.n_ports, 102);
        assert_int_equal(bridge_up(&reply), NETD_OK);
        assert_int_equal(port(NETD_PORT_KEEP, 10, 0, &reply, NULL), NETD_OK);
        assert_int_equal(port(NETD_PORT_KEEP, 12, 0, &reply, NULL), NETD_NOT_FOUND);
        assert_int_equal(call(NETD_SWEEP, &reply), NETD_OK);
        assert_int_equal(reply.n_bridges * 100 + reply.n_ports, 1);
        assert_int_not_equal(if_nametoindex("mcp0001"), 0);
        assert_int_equal(if_nametoindex("mcp0002"), 0);
        (void) close(swept[0]);
        (void) close(kept[0]);
        wait_event(NETD_EVENT_PORT_GONE, &reply);
        assert_int_equal(call(NETD_HELLO, &reply), NETD_OK);
        assert_int_equal(call(NETD_SWEEP, &reply), NETD_OK);
        stop(SIGTERM, 0);
}

static void test_bridge_comes_back(void **state) {
        struct netd_reply reply;
        int fds[NETD_QUEUES_MAX];

        start();
        assert_int_equal(bridge_up(&reply), NETD_OK);
        assert_int_equal(port(NETD_PORT_ADD, 10, 1, &reply, fds), NETD_OK);
        if (system("ip link del mcp-br0") == 0) {
                do
                        wait_event(NETD_EVENT_BRIDGE, &reply);
                while (!reply.up);
                assert_string_equal(reply.text, "it was deleted and is back, with 1 VMs");
                assert_int_not_equal(if_nametoindex("mcp-br0"), 0);
        }
        (void) close(fds[0]);
        assert_int_equal(call(NETD_HELLO, &reply), NETD_OK);
        assert_int_equal(call(NETD_SWEEP, &reply), NETD_OK);
        stop(SIGTERM, 0);
}

/* What a person may do by hand, where the tools for it are there. */
static void test_other_hands(void **state) {
        static const struct {
                const char *command;
                uint32_t event;
                const char *text;
        } cases[] = {
                {"ip addr del 10.99.0.1/24 dev mcp-br0", NETD_EVENT_BRIDGE,
                        "its gateway's address was removed and is back"},
                {"nft flush chain bridge mcp_runtime guard", NETD_EVENT_GUARD,
                        "our nftables tables were changed or deleted and are back"},
                {"nft flush set bridge mcp_runtime identities", NETD_EVENT_GUARD,
                        "our nftables tables were changed or deleted and are back"},
                {"ip link set mcp0001 nomaster", NETD_EVENT_BRIDGE,
                        "mcp0001 of VM 00000000-0000-0000-0000-00000000000a was taken out of it or out of its group "
                        "and is "
                        "back"},
                {"ip link set mcp-br0 address 02:00:00:00:00:99", NETD_EVENT_BRIDGE, "its MAC was changed and is back"},
        };
        struct netd_reply reply;
        int fds[NETD_QUEUES_MAX];

        start();
        assert_int_equal(bridge_up(&reply), NETD_OK);
        assert_int_equal(port(NETD_PORT_ADD, 10, 1, &reply, fds), NETD_OK);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                if (system(cases[i].command) != 0)
                        continue;
                do
                        wait_event(cases[i].event, &reply);
                while (strcmp(reply.text, cases[i].text) != 0);
        }
        (void) close(fds[0]);
        assert_int_equal(call(NETD_HELLO, &reply), NETD_OK);
        assert_int_equal(call(NETD_SWEEP, &reply), NETD_OK);
        stop(SIGTERM, 0);
}

static int run(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ports),
                cmocka_unit_test(test_restart),
                cmocka_unit_test(test_bridge_comes_back),
                cmocka_unit_test(test_other_hands),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char *argv[]) {
        return netd_case_run(argv[1], run);
}
