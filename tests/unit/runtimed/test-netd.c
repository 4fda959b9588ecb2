/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The connection to mcp-netd, with a netd that dies: what was asked is answered, and in order. netd.c is compiled for
 * this test, with its socket in the working directory. */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "launch/netd.h"
#include "shared/fd.h"

#define TURN_USEC (10ULL * 1000ULL)
#define PATIENCE 3000 /* turns */

typedef struct Bench {
        char *dir;
        sd_event *event;
        int listener, peer; /* netd's ends */
        Netd *netd;
        GString *trace; /* what netd was asked, and what callers heard */
        bool asks_again;
} Bench;

static void on_connected(void *userdata) {
}

static void on_event(const struct netd_reply *event, void *userdata) {
}

static const NetdOps ops = {.connected = on_connected, .event = on_event};

static int setup(void **state) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = NETD_SOCKET_PATH};
        Bench *b = g_new0(Bench, 1);

        *b = (Bench){.dir = scratch_new(), .peer = -1, .trace = g_string_new(NULL)};
        assert_int_equal(chdir(b->dir), 0);
        b->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(b->listener, (struct sockaddr *) &sa, sizeof sa), 0);
        assert_int_equal(listen(b->listener, 4), 0);
        assert_true(sd_event_new(&b->event) >= 0);
        b->netd = netd_new(b->event, &ops, b);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;

        assert_null(netd_free(b->netd));
        sd_event_unref(b->event);
        (void) close_fd(b->listener);
        (void) close_fd(b->peer);
        g_string_free(b->trace, TRUE);
        assert_int_equal(chdir("/"), 0);
        scratch_remove(b->dir);
        g_free(b);
        return 0;
}

/* netd's side of one turn. A port that is asked for is its death. */
static void serve(Bench *b) {
        struct netd_request q;

        if (b->peer < 0)
                b->peer = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        while (b->peer >= 0 && recv(b->peer, &q, sizeof q, 0) == (ssize_t) sizeof q) {
                struct netd_reply reply = {.version = NETD_WIRE_VERSION, .verb = q.verb, .cookie = q.cookie};

                g_string_append_printf(b->trace, "%u ", q.verb);
                if (q.verb == NETD_PORT_ADD)
                        b->peer = close_fd(b->peer);
                else
                        assert_int_equal(send(b->peer, &reply, sizeof reply, MSG_NOSIGNAL), sizeof reply);
        }
}

static void run_until(Bench *b, const char *trace) {
        for (int i = 0; i < PATIENCE && strcmp(b->trace->str, trace) != 0; i++) {
                serve(b);
                assert_true(sd_event_run(b->event, TURN_USEC) >= 0);
        }
        assert_string_equal(b->trace->str, trace);
}

static void on_answer(const struct netd_reply *reply, int *fds, size_t n_fds, void *userdata) {
        Bench *b = userdata;

        g_string_append(b->trace, reply ? "answer " : "none ");
        if (!reply && b->asks_again)
                netd_call(b->netd, &(struct netd_request){.verb = NETD_PORT_REMOVE}, on_answer, NULL, b);
}

static void ask(Bench *b, enum netd_verb verb) {
        netd_call(b->netd, &(struct netd_request){.verb = verb}, on_answer, NULL, b);
}

static void count_drop(void *userdata) {
        (*(unsigned *) userdata)++;
}

static void test_answers(void **state) {
        Bench *b = *state;

        ask(b, NETD_STATUS);
        run_until(b, "1 8 answer ");
        ask(b, NETD_BRIDGE_UP);
        run_until(b, "1 8 answer 2 answer ");
}

/* Whoever was waiting when it died is told, and takes back what it wanted; a caller of the moment in between waits for
 * the next connection. */
static void test_death(void **state) {
        Bench *b = *state;

        b->asks_again = true;
        ask(b, NETD_PORT_ADD);
        run_until(b, "1 4 ");
        assert_true(sd_event_run(b->event, UINT64_MAX) > 0); /* after the answer to HELLO its end: one event a run */
        ask(b, NETD_STATUS);
        run_until(b, "1 4 none 1 8 6 answer answer ");
}

static void test_nobody(void **state) {
        Bench *b = *state;

        b->listener = close_fd(b->listener);
        assert_int_equal(unlink(NETD_SOCKET_PATH), 0);
        ask(b, NETD_STATUS);
        ask(b, NETD_BRIDGE_UP);
        assert_string_equal(b->trace->str, "");
        run_until(b, "none none ");
}

/* What is still due in the end is dropped, sent or not: nobody is called any more. */
static void test_end(void **state) {
        Bench *b = *state;
        unsigned dropped = 0;

        netd_call(b->netd, &(struct netd_request){.verb = NETD_STATUS}, on_answer, count_drop, &dropped);
        netd_call(b->netd, &(struct netd_request){.verb = NETD_SWEEP}, NULL, NULL, NULL);
        b->netd = netd_free(b->netd);
        assert_int_equal(dropped, 1);
        assert_string_equal(b->trace->str, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_death, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
                cmocka_unit_test_setup_teardown(test_end, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
