/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The display of mcp-vm-monitor's machine: who gets one, how many, and when not. */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine-case.h"
#include "monitor/display.h"

static int ask_display(int type) {
        json_t *message = json_pack("{s:s, s:[s], s:I}", "type", "display", "fds", "display", "id", ++t.id);
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair), 0);
        fake_daemon_send(&t.daemon, message, &pair[1], 1);
        (void) close(pair[1]);
        return pair[0];
}

static void assert_served(int fd) {
        char greeting[13] = "";

        assert_int_equal(recv(fd, greeting, 12, MSG_WAITALL), 12);
        assert_string_equal(greeting, "RFB 003.008\n");
}

static void assert_closed(int fd) {
        char byte;

        assert_int_equal(recv(fd, &byte, 1, 0), 0);
        (void) close(fd);
}

/* Asked for all at once: each gets its own, up to the limit. */
static void test_display(void **state) {
        int viewers[DISPLAY_VIEWERS_MAX], late;
        json_int_t first;

        launch_ready("normal");
        first = t.id + 1;
        for (unsigned i = 0; i < DISPLAY_VIEWERS_MAX; i++)
                viewers[i] = ask_display(SOCK_STREAM);
        for (unsigned i = 0; i < DISPLAY_VIEWERS_MAX; i++) {
                json_t *reply = fake_daemon_expect(&t.daemon, "reply");

                assert_int_equal(number_of(reply, "id"), first + i);
                assert_string_equal(text_of(reply, "error"), "");
                json_decref(reply);
                assert_served(viewers[i]);
        }
        late = ask_display(SOCK_STREAM);
        expect_reply("Busy");
        assert_closed(late);
        stop(2 * SECOND);
        expect_exit("guest-exit", 0, "");
        for (unsigned i = 0; i < DISPLAY_VIEWERS_MAX; i++)
                assert_closed(viewers[i]);
}

static void test_display_refused(void **state) {
        int viewer;

        launch_ready("display-refuses");
        viewer = ask_display(SOCK_STREAM);
        expect_reply("NotSupported");
        (void) close(viewer);
        viewer = ask_display(SOCK_DGRAM);
        expect_reply("NotSupported");
        (void) close(viewer);
        ask(json_pack("{s:s}", "type", "display"));
        expect_reply("LimitExceeded");
        stop(2 * SECOND);
        expect_exit("guest-exit", 0, "");
}

static void test_no_display(void **state) {
        int viewer;

        launch_ready("no-vnc");
        viewer = ask_display(SOCK_STREAM);
        expect_reply("NotSupported");
        assert_closed(viewer);
        stop(2 * SECOND);
        expect_exit("guest-exit", 0, "");
}

/* QEMU that says nothing: those that wait for their turn are a few, and all hear of its end. */
static void test_display_waits(void **state) {
        int viewers[DISPLAY_WAITING_MAX], late;

        launch_ready("mute");
        for (unsigned i = 0; i < DISPLAY_WAITING_MAX; i++)
                viewers[i] = ask_display(SOCK_STREAM);
        late = ask_display(SOCK_STREAM);
        expect_reply("Busy");
        assert_closed(late);
        ask(json_pack("{s:s, s:i}", "type", "stop", "timeout", 0));
        for (unsigned i = 0; i < DISPLAY_WAITING_MAX + 1;) {
                json_t *message = fake_daemon_expect(&t.daemon, NULL);

                i += strcmp(text_of(message, "type"), "reply") == 0;
                json_decref(message);
        }
        for (unsigned i = 0; i < DISPLAY_WAITING_MAX; i++)
                assert_closed(viewers[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_display),
                CASE(test_display_refused),
                CASE(test_no_display),
                CASE(test_display_waits),
        };

        (void) signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
