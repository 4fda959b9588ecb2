/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel refuses mcp-netd, one call after the other: a descriptor, a TAP, a message to it or from it. netd stays up, what it was
 * asked for then works, the host has what netd says that it has, and neither a descriptor nor an interface is left over. */
#include "../../soak.h"
#include "netd-case.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"

static char path[] = "/tmp/mcp-faults-XXXXXX";
static struct faults *faults;

/* ---- A life ---- */

static void close_all(const struct netd_reply *reply, const int *fds) {
        for (uint32_t i = 0; i < reply->n_fds; i++)
                (void) close(fds[i]);
}

/* What is refused is said. */
static void check_words(const struct netd_reply *reply, int n) {
        if (reply->error != NETD_OK && !*reply->text)
                fail_msg("call %d: verb %u fails without a word", n, reply->verb);
}

static void live(int n) {
        int fds[NETD_QUEUES_MAX];
        struct netd_reply reply;

        (void) bridge_up(&reply);
        check_words(&reply, n);
        (void) port(NETD_PORT_ADD, 10, 2, &reply, fds);
        check_words(&reply, n);
        close_all(&reply, fds);
        (void) port(NETD_PORT_TRAFFIC, 10, 0, &reply, NULL);
        check_words(&reply, n);
        (void) port(NETD_PORT_REMOVE, 10, 0, &reply, NULL);
        check_words(&reply, n);
        (void) call(NETD_STATUS, &reply);
        check_words(&reply, n);
        (void) call(NETD_SWEEP, &reply);
        check_words(&reply, n);
}

static unsigned descriptors_of(pid_t pid) {
        char dir[64];
        unsigned n = 0;
        DIR *d;

        (void) snprintf(dir, sizeof dir, "/proc/%d/fd", (int) pid);
        d = opendir(dir);
        assert_non_null(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

static unsigned interfaces(void) {
        struct if_nameindex *list = if_nameindex();
        unsigned n = 0;

        assert_non_null(list);
        for (const struct if_nameindex *i = list; i->if_index != 0; i++)
                n += strncmp(i->if_name, "mcp", 3) == 0;
        if_freenameindex(list);
        return n;
}

/* With nothing failing any more. */
static void works(int n) {
        int fds[NETD_QUEUES_MAX];
        struct netd_reply reply;

        if (waitpid(t.netd, &(int){0}, WNOHANG) != 0)
                fail_msg("call %d: it has ended", n);
        assert_int_equal(call(NETD_HELLO, &reply), NETD_OK);
        if (bridge_up(&reply) != NETD_OK || port(NETD_PORT_ADD, 11, 1, &reply, fds) != NETD_OK)
                fail_msg("call %d: %s", n, reply.text);
        (void) port(NETD_PORT_TRAFFIC, 11, 0, &reply, NULL);
        assert_int_equal(reply.error, NETD_OK);
        assert_int_equal(call(NETD_SWEEP, &reply), NETD_OK);
        assert_int_equal(call(NETD_STATUS, &reply), NETD_OK);
        if (reply.n_bridges * 100 + reply.n_ports != 101 || interfaces() != 2)
                fail_msg("call %d: %u bridges and %u ports, %u interfaces", n, reply.n_bridges, reply.n_ports,
                        interfaces());
        (void) close(fds[0]);
        wait_event(NETD_EVENT_PORT_GONE, &reply);
        assert_int_equal(call(NETD_HELLO, &reply), NETD_OK);
        assert_int_equal(call(NETD_SWEEP, &reply), NETD_OK);
        if (interfaces() != 0)
                fail_msg("call %d: %u interfaces are left", n, interfaces());
}

static void walk(enum fault_call call, const char *name, int error, int step) {
        int n = 1 - step, walked = 0;
        unsigned before;

        start();
        live(0);
        works(0);
        before = descriptors_of(t.netd);
        do {
                n += step;
                walked++;
                faults_arm(faults, call, error, n, false);
                live(n);
                faults_disarm(faults);
                works(n);
                assert_int_equal(descriptors_of(t.netd), before);
        } while (faults->fired);
        stop(SIGTERM, 0);
        print_message("%s: %d of the first %d calls failed with %s\n", name, walked - 1, n - 1, strerror(error));
        assert_true(n > 1);
}

static void test_descriptors(void **state) {
        walk(FAULT_ANY_DESCRIPTOR, "descriptors", EMFILE, 1);
}

static void test_tap(void **state) {
        walk(FAULT_TUNNEL, "TUNSETIFF", ENOMEM, 1);
}

static void test_netlink(void **state) {
        walk(FAULT_NETLINK, "rtnetlink", ENOBUFS, is_soak() ? 1 : 9);
}

/* ---- Its start ---- */

/* It ends, for systemd to start it again, or serves. */
static void test_start(void **state) {
        int n = 0, ended = 0;

        do {
                struct pollfd p = {.events = POLLIN};
                struct netd_reply reply;

                faults_arm(faults, FAULT_ANY_DESCRIPTOR, EMFILE, ++n, false);
                t.netd = link_start_netd(t.program, t.config, t.path);
                t.sock = link_connect(t.path);
                assert_true(t.sock >= 0);
                p.fd = t.sock;
                (void) send(t.sock, &(struct netd_request){.version = NETD_WIRE_VERSION, .verb = NETD_HELLO},
                        sizeof(struct netd_request), MSG_NOSIGNAL);
                if (poll(&p, 1, 10000) != 1)
                        fail_msg("call %d: it neither serves nor ends", n);
                if (recv(t.sock, &reply, sizeof reply, 0) != sizeof reply) {
                        int status;

                        ended++;
                        t.sock = close(t.sock);
                        assert_int_equal(waitpid(t.netd, &status, 0), t.netd);
                        if (!WIFEXITED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULTS_REPORT)
                                fail_msg("call %d: status %x", n, (unsigned) status);
                        continue;
                }
                faults->call = FAULT_NONE;
                works(n);
                stop(SIGTERM, 0);
        } while (faults->fired);
        print_message(
                "its start: each of %d calls failed with %s, it ended %d times\n", n - 1, strerror(EMFILE), ended);
        assert_true(n > 1);
}

/* ---- Connections that cannot be taken ---- */

static unsigned long ticks_of(pid_t pid) {
        unsigned long user = 0, system = 0;
        char file[64], text[512] = "";
        FILE *f;

        (void) snprintf(file, sizeof file, "/proc/%d/stat", (int) pid);
        f = fopen(file, "re");
        assert_non_null(f);
        assert_true(fread(text, 1, sizeof text - 1, f) > 0);
        (void) fclose(f);
        assert_int_equal(
                sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
                2);
        return user + system;
}

/* One that waits does not keep it busy, and is served once there is room. */
static void test_no_spin(void **state) {
        struct netd_reply reply;
        unsigned long before;
        int other;

        start();
        faults_arm(faults, FAULT_ANY_DESCRIPTOR, EMFILE, 1, true);
        other = link_connect(t.path);
        before = ticks_of(t.netd);
        (void) sleep(1);
        assert_true(ticks_of(t.netd) - before < (unsigned long) sysconf(_SC_CLK_TCK) / 5);
        faults_disarm(faults);
        assert_int_equal(link_call(other, &(struct netd_request){.verb = NETD_HELLO}, &reply, NULL, NULL), 0);
        (void) close(other);
        stop(SIGTERM, 0);
}

static int run(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_descriptors),
                cmocka_unit_test(test_tap),
                cmocka_unit_test(test_netlink),
                cmocka_unit_test(test_start),
                cmocka_unit_test(test_no_spin),
        };
        int fd = mkstemp(path), r;

        if (fd < 0)
                return EXIT_FAILURE;
        (void) close(fd);
        faults = faults_new(path, "/");
        faults_load(FAULT_PRELOAD, path);
        r = cmocka_run_group_tests(tests, NULL, NULL);
        faults_unload();
        faults_free(faults);
        (void) unlink(path);
        return r;
}

int main(int argc, char *argv[]) {
        return netd_case_run(argv[1], run);
}
