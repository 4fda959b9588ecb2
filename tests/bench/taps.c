/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* taps NETD: a TAP made, attached, guarded and up by mcp-netd, against the three `ip` commands that do it without
 * guard; with 1, 100 and 250 TAPs in place. In a network namespace of its own; TAP output. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netd-link.h"
#include "shared/fd.h"

#define SAMPLES 15U
#define RATIO_MAX (1.0 / 3)
#define SKIP 77

extern char **environ;

static char directory[] = "/tmp/bench-taps-XXXXXX";
static unsigned created;

static int write_text(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_CREAT, 0600);

        return fd < 0 ? -errno : write_all(fd, text, strlen(text));
}

/* Root of nothing but a network namespace. */
static int enter_namespace(void) {
        char map[64];
        int r;

        (void) snprintf(map, sizeof map, "0 %u 1\n", geteuid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
                return -errno;
        r = write_text("/proc/self/setgroups", "deny");
        return r < 0 ? r : write_text("/proc/self/uid_map", map);
}

static int run_ip(const char *const *arguments) {
        int status;
        pid_t pid;

        if (posix_spawnp(&pid, "ip", NULL, NULL, (char *const *) arguments, environ) != 0)
                return -ENOENT;
        if (waitpid(pid, &status, 0) < 0)
                return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

#define IP(...) run_ip((const char *const[]){"ip", __VA_ARGS__, NULL})

static double milliseconds(uint64_t since) {
        return (double) (now_monotonic() - since) / 1000;
}

static int call(int sock, struct netd_request *q, struct netd_reply *reply, int *fds) {
        int r = link_call(sock, q, reply, fds, NULL);

        if (r >= 0 && reply->error != NETD_OK) {
                (void) fprintf(stderr, "netd: %s\n", reply->text);
                r = -EIO;
        }
        return r;
}

static int port_call(int sock, enum netd_verb verb, unsigned number, int *fds) {
        struct netd_request q = {.verb = verb,
                .port = {.bridge = "mcp-br0",
                        .queues = 1,
                        .mac = {0x52, 0x54, 0, 0, (uint8_t) (number >> 8), (uint8_t) number},
                        .address = {10, 99, (uint8_t) (number >> 8), (uint8_t) number}}};
        struct netd_reply reply;

        (void) snprintf(q.port.uuid, sizeof q.port.uuid, "00000000-0000-0000-0000-%012x", number);
        return call(sock, &q, &reply, fds);
}

/* By netd; the TAP is taken away again outside of the measured time. */
static int measure_netd(int sock, double *ret) {
        int fds[NETD_QUEUES_MAX], r;
        unsigned number = 1000 + created;
        uint64_t since = now_monotonic();

        r = port_call(sock, NETD_PORT_ADD, number, fds);
        if (r < 0)
                return r;
        *ret = milliseconds(since);
        r = port_call(sock, NETD_PORT_REMOVE, number, NULL);
        (void) close(fds[0]);
        return r;
}

static int measure_ip(double *ret) {
        uint64_t since = now_monotonic();

        if (IP("tuntap", "add", "dev", "bench0", "mode", "tap") < 0 ||
                IP("link", "set", "bench0", "master", "peer0") < 0 || IP("link", "set", "bench0", "up") < 0)
                return -EIO;
        *ret = milliseconds(since);
        return IP("link", "del", "bench0");
}

static int compare(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return x < y ? -1 : x > y;
}

static double median(double *values) {
        qsort(values, SAMPLES, sizeof *values, compare);
        return values[SAMPLES / 2];
}

/* Fills up to that many TAPs, whose descriptors stay open, and measures one more, in turns. */
static int measure(int sock, unsigned in_place, unsigned test) {
        double ours[SAMPLES], theirs[SAMPLES], us, they;
        int fds[NETD_QUEUES_MAX], r;

        while (created < in_place) {
                r = port_call(sock, NETD_PORT_ADD, 10 + created, fds);
                if (r < 0)
                        return r;
                created++;
        }
        for (unsigned i = 0; i < SAMPLES; i++) {
                r = measure_netd(sock, &ours[i]);
                if (r >= 0)
                        r = measure_ip(&theirs[i]);
                if (r < 0)
                        return r;
        }
        us = median(ours);
        they = median(theirs);
        (void) printf("# with %u TAPs: netd %.2f ms with guard, three ip commands %.2f ms without, ratio %.2f\n",
                in_place, us, they, us / they);
        (void) printf("%s %u - less than a third of three ip commands, with %u TAPs\n",
                us < they * RATIO_MAX ? "ok" : "not ok", test, in_place);
        return us < they * RATIO_MAX ? 0 : -ERANGE;
}

static int start(const char *program, pid_t *ret_pid) {
        char config[64], path[64];

        (void) snprintf(config, sizeof config, "%s/netd.conf", directory);
        (void) snprintf(path, sizeof path, "%s/socket", directory);
        if (write_text(config, "ManagedBridges=mcp-br*\n") < 0)
                return -EIO;
        *ret_pid = link_start_netd(program, config, path);
        return *ret_pid < 0 ? (int) *ret_pid : link_connect(path);
}

static int prepare(int sock) {
        struct netd_request hello = {.verb = NETD_HELLO};
        struct netd_request up = {.verb = NETD_BRIDGE_UP,
                .bridge = {.name = "mcp-br0", .gateway = {10, 99, 0, 1}, .prefix = 16, .managed = 1, .isolated = 1}};
        struct netd_reply reply;
        int r;

        r = call(sock, &hello, &reply, NULL);
        if (r >= 0)
                r = call(sock, &up, &reply, NULL);
        if (r >= 0)
                r = IP("link", "add", "peer0", "type", "bridge");
        return r < 0 ? r : IP("link", "set", "peer0", "up");
}

static int sweep(int sock) {
        struct netd_request hello = {.verb = NETD_HELLO}, all = {.verb = NETD_SWEEP};
        struct netd_reply reply;
        uint64_t since;
        int r;

        r = call(sock, &hello, &reply, NULL);
        since = now_monotonic();
        if (r >= 0)
                r = call(sock, &all, &reply, NULL);
        if (r >= 0)
                (void) printf(
                        "# %u TAPs, their bridge and rules removed in %.1f ms\n", reply.n_ports, milliseconds(since));
        return r;
}

static int bench(const char *program, pid_t *ret_pid) {
        static const unsigned counts[] = {1, 100, 250};
        _cleanup_close_ int sock = start(program, ret_pid);
        int r, worst = 0;

        r = sock < 0 ? sock : prepare(sock);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
                r = measure(sock, counts[i], i + 1);
                if (r < 0 && r != -ERANGE)
                        return r;
                worst = r < 0 ? r : worst;
        }
        r = sweep(sock);
        (void) printf("1..3\n");
        return r < 0 ? r : worst;
}

static void remove_directory(void) {
        static const char *const names[] = {"netd.conf", "socket"};
        char path[64];

        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                (void) snprintf(path, sizeof path, "%s/%s", directory, names[i]);
                (void) unlink(path);
        }
        (void) rmdir(directory);
}

int main(int argc, char *argv[]) {
        pid_t pid = -1;
        int r;

        if (argc != 2) {
                (void) fprintf(stderr, "usage: taps PATH-OF-MCP-NETD\n");
                return EXIT_FAILURE;
        }
        r = enter_namespace();
        if (r < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
                (void) printf("1..0 # SKIP no network namespace or /dev/net/tun for this user: %s\n",
                        strerror(r < 0 ? -r : errno));
                return SKIP;
        }
        if (!mkdtemp(directory))
                return EXIT_FAILURE;
        r = bench(argv[1], &pid);
        if (r < 0)
                (void) fprintf(stderr, "taps: %s\n", strerror(-r));
        if (pid > 0) {
                (void) kill(pid, SIGTERM);
                (void) waitpid(pid, NULL, 0);
        }
        remove_directory();
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
