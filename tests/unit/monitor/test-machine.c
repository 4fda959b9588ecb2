/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-vm-monitor as a whole, between a stand-in daemon and a stand-in QEMU. */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine-case.h"

static void test_program_exits(void **state) {
        char notified[8192];

        launch_ready("exit-7");
        expect_stopping(false);
        expect_exit("guest-exit", 7, "");
        assert_true(logged(" 5 k booting\n"));
        assert_true(logged(" 5 p hello\n"));
        assert_true(logged(" 5 p world\n"));
        assert_true(logged(" 5 m end: guest-exit, code 7\n"));
        fake_daemon_notified(&t.daemon, notified, sizeof notified);
        assert_non_null(strstr(notified, "READY=1\n"));
        assert_non_null(strstr(notified, "STATUS=Ended: guest-exit\n"));
}

static void test_powers_off(void **state) {
        launch_ready("poweroff");
        expect_stopping(false);
        expect_exit("powered-off", 0, "");
}

static void test_panics(void **state) {
        launch_ready("panic");
        expect_state("stopping");
        expect_exit("crashed", 1, "the guest reset itself: [ 1.0] Kernel panic - not syncing: no init");
}

static void test_guest_error(void **state) {
        json_t *error;

        launch_ready("error");
        error = fake_daemon_expect(&t.daemon, "guest-error");
        assert_string_equal(text_of(error, "message"), "oh?!");
        json_decref(error);
        expect_state("stopping");
        expect_exit("powered-off", 1, "oh?!");
}

static void test_qemu_dies(void **state) {
        launch_ready("segv");
        expect_exit("crashed", 139, "QEMU was ended by signal 11 SEGV: qemu: bad thing");
}

/* A tracer that holds the dead QEMU for a while must not make it look alive for ever. */
static void test_qemu_dies_traced(void **state) {
        json_t *running;
        pid_t pid, tracer;
        int status;

        launch("quit-only", true);
        running = fake_daemon_expect(&t.daemon, "running");
        pid = (pid_t) number_of(running, "pid");
        json_decref(running);
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");

        tracer = fork();
        if (tracer == 0) {
                if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
                        _exit(77);
                (void) kill(pid, SIGKILL);
                (void) usleep(300000);
                _exit(0);
        }
        assert_int_equal(waitpid(tracer, &status, 0), tracer);
        if (WEXITSTATUS(status) == 77)
                skip();
        expect_exit("crashed", 137, "QEMU was ended by signal 9 KILL");
}

static void test_qemu_fails_to_start(void **state) {
        launch("fail", true);
        expect_exit_status("crashed", 1, "no such device", 1);
        assert_true(logged(" 5 m qemu: -device nonsense: no such device\n"));
}

static void test_qemu_ends_before_it_ran(void **state) {
        launch("at-once", true);
        expect_exit_status("crashed", 127, "QEMU ended with status 0 before it ran", 1);
}

static void test_qemu_ends_soon(void **state) {
        launch("brief", true);
        expect_exit_status("crashed", 127, "QEMU ended with status 0 before it ran", 1);
}

static void test_qemu_speaks_no_qmp(void **state) {
        launch("no-qmp", true);
        expect_state("stopping");
        expect_exit_status("crashed", 127, "spoke no QMP", 1);
}

static void test_no_such_qemu(void **state) {
        assert_int_equal(setenv("FAKE_QEMU", "/nonexistent/qemu", 1), 0);
        launch("", true);
        expect_exit_status("crashed", 127, "/nonexistent/qemu: cannot execute it: No such file or directory", 1);
}

static void test_stop_asks_the_guest(void **state) {
        uint64_t begin = now_monotonic();

        launch_ready("normal");
        stop(30 * SECOND);
        expect_exit("guest-exit", 0, "");
        assert_true(now_monotonic() - begin < 5 * SECOND);
}

static void test_stop_presses_the_button(void **state) {
        launch_ready("deaf");
        stop(5 * SECOND);
        expect_exit("powered-off", 0, "");
        assert_true(logged("m stop: guest\n"));
        assert_true(logged("m stop: button\n"));
}

static void test_stop_in_firmware(void **state) {
        launch_silent("firmware");
        stop(2 * SECOND);
        expect_exit("killed", 137, "did not stop in its time");
        assert_false(logged("m stop: guest\n"));
}

static void test_stop_ends_what_ignores_all(void **state) {
        uint64_t begin;

        launch_silent("ignore");
        begin = now_monotonic();
        stop(2 * SECOND);
        expect_exit("killed", 137, "");
        assert_true(now_monotonic() - begin <= 8 * SECOND);
        assert_true(logged("m stop: kill\n"));
}

static void test_stop_zero(void **state) {
        uint64_t begin;

        launch_silent("ignore");
        begin = now_monotonic();
        stop(0);
        expect_exit("killed", 137, "at once");
        assert_true(now_monotonic() - begin <= 6 * SECOND);
}

static void test_second_stop_shortens(void **state) {
        uint64_t begin;

        launch_ready("quit-only");
        begin = now_monotonic();
        stop(60 * SECOND);
        ask(json_pack("{s:s, s:i}", "type", "stop", "timeout", 0));
        expect_reply("");
        expect_exit("killed", 137, "");
        assert_true(now_monotonic() - begin <= 5 * SECOND);
}

static void test_sigterm_is_the_ladder(void **state) {
        char notified[8192];

        launch_silent("ignore");
        assert_int_equal(kill(t.daemon.helper, SIGTERM), 0);
        expect_state("stopping");
        (void) usleep(100000);
        assert_int_equal(kill(t.daemon.helper, SIGTERM), 0);
        expect_exit("killed", 137, "did not stop in its time");
        fake_daemon_notified(&t.daemon, notified, sizeof notified);
        assert_non_null(strstr(notified, "STOPPING=1\nEXTEND_TIMEOUT_USEC="));
}

static void test_pause_resume_reset(void **state) {
        launch_ready("normal");
        ask(json_pack("{s:s}", "type", "pause"));
        expect_reply("");
        expect_state("paused");
        ask(json_pack("{s:s}", "type", "resume"));
        expect_reply("");
        expect_state("running");
        ask(json_pack("{s:s}", "type", "reset"));
        expect_reply("");
        fake_daemon_skip(&t.daemon, "ready"); /* it is not, any more */
        stop(2 * SECOND);
        ask(json_pack("{s:s}", "type", "pause"));
        expect_reply("Busy");
}

/* The firmware's own resets after one by request; the guest's, once it is up, end the VM. */
static void test_reset_by_firmware(void **state) {
        json_t *message = launch_message("seabios", true);

        (void) json_array_append_new(json_object_get(message, "argv"), json_string("-no-reboot"));
        launch_with(message);
        fake_daemon_skip(&t.daemon, "running");
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        ask(json_pack("{s:s}", "type", "reset"));
        expect_reply("");
        fake_daemon_skip(&t.daemon, "ready"); /* it is not, any more; told again with each reset */
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        stop(2 * SECOND);
}

static void test_kill(void **state) {
        launch_ready("normal");
        ask(json_pack("{s:s, s:s}", "type", "kill", "signal", "FOO"));
        expect_reply("InvalidSpec");
        ask(json_pack("{s:s}", "type", "kill"));
        expect_reply("InvalidSpec");
        ask(json_pack("{s:s, s:s}", "type", "kill", "signal", "sigusr1"));
        expect_reply("");
        expect_state("stopping");
        expect_exit("guest-signal", 10, "");
}

static void test_kill_kill(void **state) {
        launch_ready("quit-only");
        ask(json_pack("{s:s, s:s}", "type", "kill", "signal", "KILL"));
        expect_reply("");
        expect_state("stopping");
        expect_exit("killed", 137, "at once");
}

static void test_kill_without_guest(void **state) {
        launch("firmware", false);
        fake_daemon_skip(&t.daemon, "running");
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        ask(json_pack("{s:s, s:s}", "type", "kill", "signal", "USR1"));
        expect_reply("NotSupported");
        ask(json_pack("{s:s, s:s}", "type", "kill", "signal", "TERM"));
        expect_reply("");
        stop(0);
        expect_exit("killed", 137, "");
}

static void test_kill_before_hello(void **state) {
        launch_silent("firmware");
        ask(json_pack("{s:s, s:s}", "type", "kill", "signal", "TERM"));
        expect_reply("GuestNotResponding");
}

static void test_guest_garbage_costs_the_port_only(void **state) {
        launch_silent("garbage");
        ask(json_pack("{s:s}", "type", "pause"));
        expect_reply("");
        expect_state("paused");
        assert_true(logged_soon("m the guest port is closed: the guest sent what is no message of guest init\n"));
        ask(json_pack("{s:s, s:s}", "type", "kill", "signal", "TERM"));
        expect_reply("GuestNotResponding");
}

static void test_daemon_restart(void **state) {
        json_t *hello;

        launch_ready("normal");
        for (unsigned i = 0; i < 3; i++) {
                fake_daemon_drop(&t.daemon);
                hello = fake_daemon_accept(&t.daemon);
                assert_string_equal(text_of(hello, "state"), "running");
                assert_int_equal(number_of(hello, "boot"), 5);
                assert_true(number_of(hello, "pid") > 1);
                assert_true(json_is_true(json_object_get(hello, "ready")));
                json_decref(hello);
        }
        stop(2 * SECOND);
        expect_exit("guest-exit", 0, "");
}

static void test_nonsense_from_daemon(void **state) {
        launch_ready("normal");
        /* Unknown is ignored, a request without id ends the connection, and the VM goes on. */
        fake_daemon_send(&t.daemon, json_pack("{s:s}", "type", "sing"), NULL, 0);
        fake_daemon_send(&t.daemon, json_pack("{s:s}", "type", "goodbye"), NULL, 0);
        ask(json_pack("{s:s, s:s}", "type", "stop", "timeout", "soon"));
        expect_reply("InvalidSpec");
        fake_daemon_send(&t.daemon, json_pack("{s:s}", "type", "stop"), NULL, 0);
        fake_daemon_drop(&t.daemon);
        json_decref(fake_daemon_accept(&t.daemon));
        stop(2 * SECOND);
        expect_exit("guest-exit", 0, "");
}

/* Nobody takes the connection: it ends by itself, the record is there. */
static void test_end_without_daemon(void **state) {
        uint64_t begin = now_monotonic();

        launch_ready("normal");
        fake_daemon_drop(&t.daemon);
        (void) usleep(300000);
        assert_int_equal(kill(t.daemon.helper, SIGTERM), 0);
        assert_int_equal(fake_daemon_wait(&t.daemon), 0);
        check_record("guest-exit", 0);
        assert_true(now_monotonic() - begin < MONITOR_FAREWELL_USEC + 3 * SECOND);
}

/* A daemon that comes back in the farewell time hears the end in the hello. */
static void test_end_told_in_hello(void **state) {
        json_t *hello, *exited;
        char path[96];

        launch_ready("normal");
        /* Without its socket there is not even a backlog. */
        (void) snprintf(path, sizeof path, "%s/launch", t.daemon.dir);
        assert_int_equal(rename(path, getenv("NOTIFY_SOCKET")), 0);
        fake_daemon_drop(&t.daemon);
        (void) usleep(150000);
        assert_int_equal(kill(t.daemon.helper, SIGTERM), 0);
        (void) usleep(300000);
        assert_int_equal(rename(getenv("NOTIFY_SOCKET"), path), 0);
        hello = fake_daemon_accept(&t.daemon);
        assert_string_equal(text_of(hello, "state"), "exited");
        exited = json_object_get(hello, "exit");
        assert_string_equal(text_of(exited, "reason"), "guest-exit");
        json_decref(hello);
        fake_daemon_send(&t.daemon, json_pack("{s:s}", "type", "goodbye"), NULL, 0);
        assert_int_equal(fake_daemon_wait(&t.daemon), 0);
}

static void test_flood_is_bounded(void **state) {
        launch_ready("flood");
        expect_state("stopping");
        expect_exit("guest-exit", 0, "");
        for (size_t i = 0; i < LOG_SEGMENTS; i++) {
                struct stat st;

                assert_int_equal(fstat(t.log[i], &st), 0);
                assert_in_range(st.st_size, 1, 200000);
        }
        assert_true(logged("m end: guest-exit, code 0\n"));
}

static void test_inventory(void **state) {
        launch("inventory", true);
        expect_exit_status("crashed", 127, "QEMU ended with status 0 before it ran", 1);
        for (int fd = 0; fd <= QEMU_FD_FIRST; fd++) {
                char line[32];

                (void) snprintf(line, sizeof line, " m fd %d\n", fd);
                assert_true(logged(line));
        }
        assert_false(logged(" m fd 8\n"));
        assert_false(logged("MCP_LAUNCH_SOCKET"));
        assert_false(logged("NOTIFY_SOCKET"));
        assert_true(logged(" m env PATH="));
        assert_true(logged(" m env LD_LIBRARY_PATH=/proc/self/fd/7/lib\n"));
}

static void bad_launch(json_t *message) {
        fake_daemon_start(&t.daemon, getenv("MONITOR"));
        fake_daemon_send(&t.daemon, message, (int[]) {t.log[0]}, 1);
        assert_int_equal(fake_daemon_wait(&t.daemon), 1);
        t.daemon.link = close_fd(t.daemon.link);
}

static void test_bad_launch(void **state) {
        bad_launch(json_pack("{s:s}", "type", "launch"));
        bad_launch(json_pack("{s:s, s:[s]}", "type", "launch", "fds", "log1"));
        bad_launch(json_pack("{s:s, s:[s], s:i}", "type", "launch", "fds", "log0", "boot", -1));
        bad_launch(json_pack("{s:s, s:[s], s:i, s:[]}", "type", "launch", "fds", "log0", "boot", 1, "argv"));
        bad_launch(json_pack("{s:s, s:[s], s:i, s:[i]}", "type", "launch", "fds", "log0", "boot", 1, "argv", 1));
        bad_launch(json_pack("{s:s, s:[s], s:i, s:[s]}", "type", "launch", "fds", "log0", "boot", 1, "argv", "sh"));
        bad_launch(json_pack("{s:s, s:[s], s:i, s:[s], s:[s]}", "type", "launch", "fds", "log0", "boot", 1, "argv", "/sh",
                "environment", "LANG"));
}

static void test_goodbye(void **state) {
        fake_daemon_start(&t.daemon, getenv("MONITOR"));
        fake_daemon_send(&t.daemon, json_pack("{s:s}", "type", "goodbye"), NULL, 0);
        assert_int_equal(fake_daemon_wait(&t.daemon), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_program_exits),
                CASE(test_powers_off),
                CASE(test_panics),
                CASE(test_guest_error),
                CASE(test_qemu_dies),
                CASE(test_qemu_dies_traced),
                CASE(test_qemu_fails_to_start),
                CASE(test_qemu_ends_before_it_ran),
                CASE(test_qemu_ends_soon),
                CASE(test_qemu_speaks_no_qmp),
                CASE(test_stop_asks_the_guest),
                CASE(test_stop_presses_the_button),
                CASE(test_stop_in_firmware),
                CASE(test_stop_ends_what_ignores_all),
                CASE(test_stop_zero),
                CASE(test_second_stop_shortens),
                CASE(test_sigterm_is_the_ladder),
                CASE(test_pause_resume_reset),
                CASE(test_reset_by_firmware),
                CASE(test_kill),
                CASE(test_kill_kill),
                CASE(test_kill_without_guest),
                CASE(test_kill_before_hello),
                CASE(test_guest_garbage_costs_the_port_only),
                CASE(test_daemon_restart),
                CASE(test_nonsense_from_daemon),
                CASE(test_end_without_daemon),
                CASE(test_end_told_in_hello),
                CASE(test_flood_is_bounded),
                CASE(test_inventory),
                CASE(test_bad_launch),
                CASE(test_goodbye),
                CASE(test_no_such_qemu),
        };

        (void) signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
