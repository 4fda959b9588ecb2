/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who types, where the guest does not read yet, and goes. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/viewers.h"

typedef struct Console {
        sd_event *event;
        struct viewers *viewers;
        int guest[2]; /* ours, the guest's */
} Console;

static int setup(void **state) {
        Console *c = calloc(1, sizeof *c);
        int small = 4096;

        assert_int_equal(sd_event_new(&c->event), 0);
        assert_int_equal(viewers_new(c->event, &c->viewers), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, c->guest), 0);
        assert_int_equal(setsockopt(c->guest[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
        assert_int_equal(viewers_set_guest(c->viewers, c->guest[0]), 0);
        *state = c;
        return 0;
}

static int teardown(void **state) {
        Console *c = *state;

        (void) viewers_free(c->viewers);
        (void) sd_event_unref(c->event);
        (void) close(c->guest[0]);
        (void) close(c->guest[1]);
        free(c);
        return 0;
}

static void turn(Console *c) {
        for (int i = 0; i < 200; i++)
                (void) sd_event_run(c->event, 0);
}

/* The viewer's end of a new one. */
static int view(Console *c, bool write, int expected) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        assert_int_equal(viewers_add(c->viewers, pair[1], write), expected);
        return pair[0];
}

/* As many different bytes as the socket takes. */
static size_t type(int fd, char *text, size_t size) {
        size_t done = 0;
        ssize_t n;

        for (size_t i = 0; i < size; i++)
                text[i] = (char) (i * 7 / 5);
        while (done < size && (n = send(fd, text + done, size - done < 1000 ? size - done : 1000, MSG_NOSIGNAL)) > 0)
                done += (size_t) n;
        return done;
}

static void hear(Console *c, const char *text, size_t len) {
        char buffer[512];
        size_t heard = 0;
        ssize_t n;

        for (int i = 0; i < 10000 && heard < len; i++) {
                turn(c);
                while ((n = recv(c->guest[1], buffer, sizeof buffer, 0)) > 0) {
                        assert_true(heard + (size_t) n <= len);
                        assert_memory_equal(buffer, text + heard, (size_t) n);
                        heard += (size_t) n;
                }
        }
        assert_int_equal(heard, len);
}

#define MUCH 60000U

/* What was typed is typed, whether or not the one who did is still there. */
static void test_writer_that_went(void **state) {
        Console *c = *state;
        int fd = view(c, true, 0);
        char *text = malloc(MUCH);
        size_t n = type(fd, text, MUCH);

        assert_true(n > 4 * VIEWERS_PENDING_MAX);
        turn(c);
        (void) close(fd);
        turn(c);
        viewers_show(c->viewers, "output", 6); /* which nobody hears */
        turn(c);
        hear(c, text, n);
        free(text);
        fd = view(c, true, 0);
        assert_int_equal(send(fd, "next", 4, 0), 4);
        hear(c, "next", 4);
        (void) close(fd);
}

/* A guest that does not read must not keep the place of one who went for ever. */
static void test_place_of_writer_that_went(void **state) {
        Console *c = *state;
        int first = view(c, true, 0), second;
        char *text = malloc(MUCH);

        (void) type(first, text, MUCH);
        free(text);
        turn(c);
        (void) close(view(c, true, -EBUSY));
        (void) close(first);
        turn(c);
        second = view(c, true, 0);
        turn(c);
        (void) close(view(c, true, -EBUSY));
        (void) close(second);
}

static void test_readers_that_went(void **state) {
        Console *c = *state;
        int fds[VIEWERS_MAX];
        char buffer[16];

        for (size_t i = 0; i < VIEWERS_MAX; i++)
                fds[i] = view(c, i == 3, 0);
        (void) close(view(c, false, -EMFILE));
        (void) close(fds[0]);
        (void) close(fds[3]);
        viewers_show(c->viewers, "output", 6);
        turn(c);
        assert_int_equal(recv(fds[1], buffer, sizeof buffer, 0), 6);
        fds[0] = view(c, false, 0);
        fds[3] = view(c, true, 0);
        for (size_t i = 0; i < VIEWERS_MAX; i++)
                (void) close(fds[i]);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_writer_that_went, setup, teardown),
                cmocka_unit_test_setup_teardown(test_place_of_writer_that_went, setup, teardown),
                cmocka_unit_test_setup_teardown(test_readers_that_went, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
