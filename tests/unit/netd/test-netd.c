/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program as a whole, with the kernel, in a user and network namespace of its own: so the sanitizers see it too.
 * What the guard does to frames is seen in tests/host/netd.test. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netd-link.h"
#include "shared/fd.h"

#define EVENT_MILLISECONDS 10000

static const char *program;
static char directory[] = "/tmp/test-netd-XXXXXX", config[64], path[64];
static pid_t netd = -1;
static int sock = -1;

static int write_text(const char *file, const char *text) {
        _cleanup_close_ int fd = open(file, O_WRONLY | O_CLOEXEC | O_CREAT | O_TRUNC, 0600);

        return fd < 0 ? -errno : write_all(fd, text, strlen(text));
}

static int enter_namespace(void) {
        char map[64];

        (void) snprintf(map, sizeof map, "0 %u 1\n", geteuid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
                return -errno;
        if (write_text("/proc/self/setgroups", "deny") < 0 || write_text("/proc/self/uid_map", map) < 0)
                return -EPERM;
        return access("/dev/net/tun", R_OK | W_OK) < 0 ? -errno : 0;
}

static int call_fds(struct netd_request *q, struct netd_reply *reply, int *fds) {
        assert_int_equal(link_call(sock, q, reply, fds, NULL), 0);
        if (reply->error != NETD_OK)
                print_message("%s\n", reply->text);
        return (int) reply->error;
}

static int call(enum netd_verb verb, struct netd_reply *reply) {
        return call_fds(&(struct netd_request){.verb = verb}, reply, NULL);
}

static int bridge_up(struct netd_reply *reply) {
        struct netd_request q = {.verb = NETD_BRIDGE_UP,
                .bridge = {.name = "mcp-br0",
                        .gateway = {10, 99, 0, 1},
                        .prefix = 24,
                        .managed = 1,
                        .isolated = 1,
                        .n_services = 1,
                        .services = {{.port = 53, .protocol = IPPROTO_UDP}}}};

        return call_fds(&q, reply, NULL);
}

static int port(enum netd_verb verb, unsigned number, unsigned queues, struct netd_reply *reply, int *fds) {
        struct netd_request q = {.verb = verb,
                .port = {.bridge = "mcp-br0",
                        .queues = (uint16_t) queues,
                        .mac = {0x52, 0x54, 0, 0, 0, (uint8_t) number},
                        .address = {10, 99, 0, (uint8_t) number}}};

        (void) snprintf(q.port.uuid, sizeof q.port.uuid, "00000000-0000-0000-0000-%012x", number);
        return call_fds(&q, reply, fds);
}

static void wait_event(uint32_t verb, struct netd_reply *ret) {
        int fds[NETD_QUEUES_MAX];
        size_t n_fds;

        do
                assert_int_equal(link_receive(sock, EVENT_MILLISECONDS, ret, fds, &n_fds), 0);
        while (ret->verb != verb);
}

static void start(void) {
        struct netd_reply reply;

        netd = link_start_netd(program, config, path);
        assert_true(netd > 0);
        sock = link_connect(path);
        assert_true(sock >= 0);
        assert_int_equal(call(NETD_HELLO, &reply), NETD_OK);
}

/* A sanitizer's finding is an exit status. */
static void stop(int signal, int wanted) {
        int status;

        sock = close_fd(sock);
        assert_int_equal(kill(netd, signal), 0);
        assert_int_equal(waitpid(netd, &status, 0), netd);
        assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), wanted);
}

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

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ports),
                cmocka_unit_test(test_restart),
                cmocka_unit_test(test_bridge_comes_back),
                cmocka_unit_test(test_other_hands),
        };
        int r;

        program = argc > 1 ? argv[1] : "mcp-netd";
        r = enter_namespace();
        if (r < 0) {
                (void) printf("1..0 # SKIP no network namespace or /dev/net/tun for this user: %s\n", strerror(-r));
                return 77;
        }
        if (!mkdtemp(directory))
                return EXIT_FAILURE;
        (void) snprintf(config, sizeof config, "%s/netd.conf", directory);
        (void) snprintf(path, sizeof path, "%s/socket", directory);
        r = write_text(config, "ManagedBridges=mcp-br*\n") < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
        (void) unlink(config);
        (void) unlink(path);
        (void) rmdir(directory);
        return r;
}
