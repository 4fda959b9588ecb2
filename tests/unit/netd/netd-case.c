/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns a netd in a user and network namespace of the test's own, and what tests ask of it. */
#include "netd-case.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/fd.h"

#define EVENT_MILLISECONDS 10000

struct netd_case t = {.directory = "/tmp/test-netd-XXXXXX", .netd = -1, .sock = -1};

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

int call_fds(struct netd_request *q, struct netd_reply *reply, int *fds) {
        assert_int_equal(link_call(t.sock, q, reply, fds, NULL), 0);
        if (reply->error != NETD_OK)
                print_message("%s\n", reply->text);
        return (int) reply->error;
}

int call(enum netd_verb verb, struct netd_reply *reply) {
        return call_fds(&(struct netd_request){.verb = verb}, reply, NULL);
}

int bridge_up(struct netd_reply *reply) {
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

int port(enum netd_verb verb, unsigned number, unsigned queues, struct netd_reply *reply, int *fds) {
        struct netd_request q = {.verb = verb,
                .port = {.bridge = "mcp-br0",
                        .queues = (uint16_t) queues,
                        .mac = {0x52, 0x54, 0, 0, 0, (uint8_t) number},
                        .address = {10, 99, 0, (uint8_t) number}}};

        (void) snprintf(q.port.uuid, sizeof q.port.uuid, "00000000-0000-0000-0000-%012x", number);
        return call_fds(&q, reply, fds);
}

void wait_event(uint32_t verb, struct netd_reply *ret) {
        int fds[NETD_QUEUES_MAX];
        size_t n_fds;

        do
                assert_int_equal(link_receive(t.sock, EVENT_MILLISECONDS, ret, fds, &n_fds), 0);
        while (ret->verb != verb);
}

void start(void) {
        struct netd_reply reply;

        t.netd = link_start_netd(t.program, t.config, t.path);
        assert_true(t.netd > 0);
        t.sock = link_connect(t.path);
        assert_true(t.sock >= 0);
        assert_int_equal(call(NETD_HELLO, &reply), NETD_OK);
}

/* A sanitizer's finding is an exit status. */
void stop(int signal, int wanted) {
        int status;

        t.sock = close_fd(t.sock);
        assert_int_equal(kill(t.netd, signal), 0);
        assert_int_equal(waitpid(t.netd, &status, 0), t.netd);
        assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), wanted);
}

int netd_case_run(const char *program, int (*run)(void)) {
        int r = enter_namespace();

        t.program = program ? program : "mcp-netd";
        if (r < 0) {
                (void) printf("1..0 # SKIP no network namespace or /dev/net/tun for this user: %s\n", strerror(-r));
                return 77;
        }
        if (!mkdtemp(t.directory))
                return EXIT_FAILURE;
        (void) snprintf(t.config, sizeof t.config, "%s/netd.conf", t.directory);
        (void) snprintf(t.path, sizeof t.path, "%s/socket", t.directory);
        r = write_text(t.config, "ManagedBridges=mcp-br*\n") < 0 ? 1 : run();
        (void) unlink(t.config);
        (void) unlink(t.path);
        (void) rmdir(t.directory);
        return r;
}
