/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may come over the socket, and from whom: everything that does not follow netd-wire.h, and the change of daemons.
 */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "netd/server.h"
#include "shared/fd.h"

struct fixture {
        sd_event *event;
        struct networks networks;
        struct server *server;
        struct sockaddr_un address;
        int listener;
};

static void start(struct fixture *f, uid_t user) {
        static unsigned number;
        int n;

        *f = (struct fixture){.address = {.sun_family = AF_UNIX}};
        n = snprintf(f->address.sun_path + 1, sizeof f->address.sun_path - 1, "test-netd-wire-%d-%u", (int) getpid(),
                number++);
        assert_true(n > 0);
        f->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(f->listener, (struct sockaddr *) &f->address, sizeof f->address), 0);
        assert_int_equal(listen(f->listener, 16), 0);
        config_defaults(&f->networks.net.config);
        assert_true(sd_event_new(&f->event) >= 0);
        assert_int_equal(server_new(f->event, &f->networks, f->listener, user, &f->server), 0);
        f->networks.event = server_send_event;
        f->networks.userdata = f->server;
}

static void stop(struct fixture *f) {
        (void) server_free(f->server);
        (void) sd_event_unref(f->event);
        (void) close_fd(f->listener);
        net_free(&f->networks.net);
}

/* Lets the server do what it has to. */
static void settle(struct fixture *f) {
        while (sd_event_run(f->event, 0) > 0)
                ;
}

static int connect_peer(struct fixture *f) {
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_int_equal(connect(fd, (struct sockaddr *) &f->address, sizeof f->address), 0);
        settle(f);
        return fd;
}

/* The answer's error; -1 without one. */
static int answer(int fd, struct netd_reply *ret) {
        ssize_t n = recv(fd, ret, sizeof *ret, 0);

        return n == (ssize_t) sizeof *ret ? (int) ret->error : -1;
}

static bool is_closed(int fd) {
        char byte;

        return recv(fd, &byte, 1, 0) == 0;
}

static int call(struct fixture *f, int fd, struct netd_request *q, struct netd_reply *ret) {
        q->version = NETD_WIRE_VERSION;
        assert_int_equal(send(fd, q, sizeof *q, MSG_NOSIGNAL), sizeof *q);
        settle(f);
        return answer(fd, ret);
}

static void test_sizes(void **state) {
        static const size_t sizes[] = {1, 4, sizeof(struct netd_request) - 1, sizeof(struct netd_request) + 1, 100000};
        static char bytes[100000] = {NETD_WIRE_VERSION};
        struct netd_reply reply;
        struct fixture f;

        start(&f, getuid());
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                int fd = connect_peer(&f);

                assert_int_equal(send(fd, bytes, sizes[i], MSG_NOSIGNAL), sizes[i]);
                settle(&f);
                assert_int_equal(answer(fd, &reply), NETD_UNEXPECTED);
                assert_true(is_closed(fd));
                (void) close(fd);
        }
        stop(&f);
}

static void test_version(void **state) {
        struct netd_request q = {.version = NETD_WIRE_VERSION + 1, .verb = NETD_HELLO};
        struct netd_reply reply;
        struct fixture f;
        int fd;

        start(&f, getuid());
        fd = connect_peer(&f);
        assert_int_equal(send(fd, &q, sizeof q, MSG_NOSIGNAL), sizeof q);
        settle(&f);
        assert_int_equal(answer(fd, &reply), NETD_UNEXPECTED);
        assert_true(is_closed(fd));
        (void) close(fd);
        stop(&f);
}

static void test_verbs(void **state) {
        static const uint32_t foreign[] = {0, NETD_VERBS_END, NETD_EVENT_BRIDGE, UINT32_MAX};
        struct netd_reply reply;
        struct fixture f;
        int fd;

        start(&f, getuid());
        fd = connect_peer(&f);
        assert_int_equal(
                call(&f, fd, &(struct netd_request){.verb = NETD_SWEEP, .cookie = 7}, &reply), NETD_UNEXPECTED);
        assert_string_equal(reply.text, "HELLO comes first");
        assert_int_equal(reply.verb, NETD_SWEEP);
        assert_int_equal(reply.cookie, 7);
        assert_int_equal(call(&f, fd, &(struct netd_request){.verb = NETD_HELLO}, &reply), NETD_OK);
        for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
                assert_int_equal(call(&f, fd, &(struct netd_request){.verb = foreign[i]}, &reply), NETD_UNEXPECTED);
        assert_false(is_closed(fd));
        (void) close(fd);
        stop(&f);
}

static void test_strings(void **state) {
        struct netd_request q;
        struct netd_reply reply;
        struct fixture f;
        int fd;

        start(&f, getuid());
        fd = connect_peer(&f);
        assert_int_equal(call(&f, fd, &(struct netd_request){.verb = NETD_HELLO}, &reply), NETD_OK);
        for (uint32_t verb = NETD_BRIDGE_UP; verb <= NETD_PORT_REMOVE; verb++) {
                memset(&q, 'a', sizeof q);
                q.verb = verb;
                assert_int_equal(call(&f, fd, &q, &reply), NETD_INVALID);
                assert_int_equal(strnlen(reply.text, sizeof reply.text), strlen(reply.text));
        }
        q.verb = NETD_PORT_TRAFFIC;
        assert_int_equal(call(&f, fd, &q, &reply), NETD_INVALID);
        assert_int_equal(f.networks.net.n_bridges + f.networks.net.n_ports, 0);
        (void) close(fd);
        stop(&f);
}

static void test_descriptors_are_not_taken(void **state) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
        struct netd_request q = {.version = NETD_WIRE_VERSION, .verb = NETD_HELLO};
        struct iovec iov = {.iov_base = &q, .iov_len = sizeof q};
        struct msghdr mh = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        struct netd_reply reply;
        struct fixture f;
        int fd, ends[2];
        char byte;

        start(&f, getuid());
        fd = connect_peer(&f);
        assert_int_equal(pipe(ends), 0);
        memcpy(CMSG_DATA(&control.header), &ends[1], sizeof(int));
        assert_int_equal(sendmsg(fd, &mh, MSG_NOSIGNAL), sizeof q);
        (void) close(ends[1]);
        settle(&f);
        assert_int_equal(answer(fd, &reply), NETD_OK);
        assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody has the other end any more */
        (void) close(ends[0]);
        (void) close(fd);
        stop(&f);
}

static void test_foreign_user(void **state) {
        struct fixture f;
        int fd;

        start(&f, getuid() + 1);
        fd = connect_peer(&f);
        assert_true(is_closed(fd));
        (void) close(fd);
        stop(&f);
}

static void test_takeover(void **state) {
        struct netd_reply event = {.version = NETD_WIRE_VERSION, .verb = NETD_EVENT_GUARD}, reply;
        struct fixture f;
        int first, second;

        start(&f, getuid());
        first = connect_peer(&f);
        assert_int_equal(call(&f, first, &(struct netd_request){.verb = NETD_HELLO}, &reply), NETD_OK);
        net_port_add(&f.networks.net, "p")->named = true;
        second = connect_peer(&f);
        server_send_event(&event, f.server);
        assert_int_equal(answer(first, &reply), NETD_OK);
        assert_int_equal(reply.verb, NETD_EVENT_GUARD);

        assert_int_equal(call(&f, second, &(struct netd_request){.verb = NETD_HELLO}, &reply), NETD_OK);
        assert_true(is_closed(first));
        assert_false(net_port(&f.networks.net, "p")->named);
        server_send_event(&event, f.server);
        assert_int_equal(answer(second, &reply), NETD_OK);
        assert_int_equal(reply.verb, NETD_EVENT_GUARD);

        (void) close(second);
        settle(&f);
        server_send_event(&event, f.server); /* to nobody */
        (void) close(first);
        stop(&f);
}

static void test_too_many(void **state) {
        struct netd_reply reply;
        struct fixture f;
        int fds[9];

        start(&f, getuid());
        for (size_t i = 0; i < 9; i++)
                fds[i] = connect_peer(&f);
        assert_false(is_closed(fds[7]));
        assert_true(is_closed(fds[8]));
        (void) close(fds[0]);
        settle(&f);
        (void) close(fds[8]);
        fds[8] = connect_peer(&f);
        assert_int_equal(call(&f, fds[8], &(struct netd_request){.verb = NETD_HELLO}, &reply), NETD_OK);
        for (size_t i = 1; i < 9; i++)
                (void) close(fds[i]);
        stop(&f);
}

/* One that never reads is cut off when its buffer is full; netd goes on. */
static void test_deaf(void **state) {
        const struct netd_reply event = {.version = NETD_WIRE_VERSION, .verb = NETD_EVENT_GUARD};
        struct netd_request q = {.version = NETD_WIRE_VERSION, .verb = NETD_HELLO};
        struct netd_reply reply;
        struct fixture f;
        int deaf, other;

        start(&f, getuid());
        deaf = connect_peer(&f);
        assert_int_equal(call(&f, deaf, &q, &reply), NETD_OK);
        for (unsigned i = 0; i < 5000; i++)
                server_send_event(&event, f.server);
        assert_int_equal(send(deaf, &q, sizeof q, MSG_NOSIGNAL), sizeof q);
        settle(&f);
        other = connect_peer(&f);
        assert_int_equal(call(&f, other, &q, &reply), NETD_OK);
        while (recv(deaf, &reply, sizeof reply, 0) > 0)
                ;
        assert_int_equal(recv(deaf, &reply, sizeof reply, 0), 0);
        (void) close(deaf);
        (void) close(other);
        stop(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_version),
                cmocka_unit_test(test_verbs),
                cmocka_unit_test(test_strings),
                cmocka_unit_test(test_descriptors_are_not_taken),
                cmocka_unit_test(test_foreign_user),
                cmocka_unit_test(test_takeover),
                cmocka_unit_test(test_too_many),
                cmocka_unit_test(test_deaf),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
