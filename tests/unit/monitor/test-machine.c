/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-vm-monitor as a whole, between a stand-in daemon and a stand-in QEMU. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake-daemon.h"
#include "monitor/display.h"
#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/log-line.h"

#define SECOND 1000000ULL

static struct {
        struct fake_daemon daemon;
        int log[LOG_SEGMENTS], exit;
        json_int_t id;
} t;

static int setup(void **state) {
        t.id = 10;
        fake_daemon_open(&t.daemon);
        for (size_t i = 0; i < LOG_SEGMENTS; i++)
                t.log[i] = memfd_create("log", MFD_CLOEXEC);
        t.exit = memfd_create("exit", MFD_CLOEXEC);
        return 0;
}

static int teardown(void **state) {
        fake_daemon_close(&t.daemon);
        for (size_t i = 0; i < LOG_SEGMENTS; i++)
                (void) close(t.log[i]);
        (void) close(t.exit);
        return 0;
}

static json_t *launch_message(const char *mode, bool guest) {
        return json_pack("{s:s, s:i, s:[s,s], s:[s,s,s,s,s], s:i, s:i, s:b, s:s}",
                "type",
                "launch",
                "boot",
                5,
                "argv",
                getenv("FAKE_QEMU"),
                mode,
                "fds",
                "log0",
                "log1",
                "log2",
                "exit",
                "qemu",
                "log_max",
                200000,
                "stop_timeout",
                2000000,
                "guest",
                guest,
                "ready",
                guest ? "message" : "none");
}

static void launch_with(json_t *message) {
        _cleanup_close_ int extra = memfd_create("extra", MFD_CLOEXEC);
        const int fds[] = {t.log[0], t.log[1], t.log[2], t.exit, extra};

        fake_daemon_start(&t.daemon, getenv("MONITOR"));
        fake_daemon_send(&t.daemon, message, fds, 5);
}

static void launch(const char *mode, bool guest) {
        json_t *message = launch_message(mode, guest);

        if (strcmp(mode, "inventory") == 0)
                (void) json_object_set_new(message, "environment", json_pack("[s]", "LD_LIBRARY_PATH=/proc/self/fd/7/lib"));
        launch_with(message);
}

static void launch_ready(const char *mode) {
        json_t *running;

        launch(mode, true);
        running = fake_daemon_expect(&t.daemon, "running");
        assert_true(number_of(running, "pid") > 1);
        assert_true(now_realtime() - (uint64_t) number_of(running, "started") < 10 * SECOND);
        json_decref(running);
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
}

/* Boots something whose guest says nothing. */
static void launch_silent(const char *mode) {
        launch(mode, true);
        fake_daemon_skip(&t.daemon, "running");
}

static void ask(json_t *message) {
        (void) json_object_set_new(message, "id", json_integer(++t.id));
        fake_daemon_send(&t.daemon, message, NULL, 0);
}

static void expect_reply(const char *error) {
        json_t *reply = fake_daemon_expect(&t.daemon, "reply");

        assert_int_equal(number_of(reply, "id"), t.id);
        assert_string_equal(text_of(reply, "error"), error);
        json_decref(reply);
}

static void expect_state(const char *name) {
        json_t *message = fake_daemon_expect(&t.daemon, "state");

        assert_string_equal(text_of(message, "state"), name);
        json_decref(message);
}

static void stop(uint64_t timeout) {
        ask(json_pack("{s:s, s:I}", "type", "stop", "timeout", (json_int_t) timeout));
        expect_reply("");
        expect_state("stopping");
}

/* Upper limits of time are wide: other tests run beside this one. test-ladder has the exact ones. */

/* The record on disk is what was said, and names the boot. */
static void check_record(const char *reason, int code) {
        json_t *record;
        size_t len;
        char *text;

        assert_int_equal(read_file(t.exit, 65536, &text, &len), 0);
        assert_int_equal(text[len - 1], '\n');
        record = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        free(text);
        assert_string_equal(text_of(record, "type"), "exited");
        assert_string_equal(text_of(record, "reason"), reason);
        assert_int_equal(number_of(record, "code"), code);
        assert_int_equal(number_of(record, "boot"), 5);
        json_decref(record);
}

static void expect_exit_status(const char *reason, int code, const char *words, int status) {
        json_t *exited = fake_daemon_expect(&t.daemon, "exited");

        assert_string_equal(text_of(exited, "reason"), reason);
        assert_int_equal(number_of(exited, "code"), code);
        if (!strstr(text_of(exited, "message"), words))
                fail_msg("\"%s\" does not say \"%s\"", text_of(exited, "message"), words);
        json_decref(exited);
        check_record(reason, code);
        assert_int_equal(fake_daemon_wait(&t.daemon), status);
}

static void expect_exit(const char *reason, int code, const char *words) {
        expect_exit_status(reason, code, words, 0);
}

/* Whether the log holds this text. */
static bool logged(const char *text) {
        bool found = false;

        for (size_t i = 0; i < LOG_SEGMENTS && !found; i++) {
                char *log;

                assert_int_equal(read_file(t.log[i], 1 << 24, &log, NULL), 0);
                found = strstr(log, text) != NULL;
                free(log);
        }
        return found;
}

/* Whether it does before long: what comes another way than what the test waited for. */
static bool logged_soon(const char *text) {
        for (unsigned i = 0; i < 500; i++) {
                if (logged(text))
                        return true;
                (void) usleep(10000);
        }
        return false;
}

static void test_program_exits(void **state) {
        char notified[8192];

        launch_ready("exit-7");
        expect_state("stopping");
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
        expect_state("stopping");
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

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- The display ---- */

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
        expect_reply("InvalidSpec");
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

/* ---- Ready and health ---- */

static void launch_probing(const char *mode, const char *ready, const char *pattern, json_t *health) {
        json_t *message = launch_message(mode, true);

        (void) json_object_set_new(message, "ready", json_string(ready));
        if (pattern)
                (void) json_object_set_new(message, "ready_pattern", json_string(pattern));
        if (health)
                (void) json_object_set_new(message, "health", health);
        launch_with(message);
        fake_daemon_skip(&t.daemon, "running");
}

static json_t *health_of(const char *kind, const char *pattern) {
        return json_pack("{s:s, s:s*, s:i, s:i, s:i, s:i}", "kind", kind, "pattern", pattern, "start_period", 0, "interval", 100000,
                "timeout", 100000, "retries", 1);
}

static void expect_health(const char *name) {
        json_t *message = fake_daemon_expect(&t.daemon, "health");

        assert_string_equal(text_of(message, "health"), name);
        json_decref(message);
}

static void test_ready_by_probe(void **state) {
        launch_probing("probed", "probe", NULL, NULL);
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        stop(0);
        expect_exit("killed", 137, "");
}

/* The line and the frame come by different ways, and either may be first. */
static void test_ready_by_console(void **state) {
        json_t *first, *second;

        launch_probing("run", "console", "wo?ld", NULL);
        first = fake_daemon_expect(&t.daemon, NULL);
        second = fake_daemon_expect(&t.daemon, NULL);
        assert_int_equal(
                strcmp(text_of(first, "type"), "ready") == 0, strcmp(text_of(second, "type"), "program") == 0);
        json_decref(first);
        json_decref(second);
        /* A reset begins anew. */
        ask(json_pack("{s:s}", "type", "reset"));
        expect_reply("");
        first = fake_daemon_expect(&t.daemon, "ready");
        assert_true(json_is_false(json_object_get(first, "ready")));
        json_decref(first);
        stop(0);
        expect_exit("killed", 137, "");
}

/* One good result and no more: silence counts as failure. The end is not what anybody asked for. */
static void test_unhealthy(void **state) {
        json_t *exited;

        launch_probing("ailing", "message", NULL, health_of("probe", NULL));
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        expect_health("healthy");
        expect_health("unhealthy");
        ask(json_pack("{s:s, s:i, s:b}", "type", "stop", "timeout", 5000000, "unhealthy", 1));
        expect_reply("");
        expect_state("stopping");
        exited = fake_daemon_expect(&t.daemon, "exited");
        assert_string_equal(text_of(exited, "reason"), "unhealthy");
        assert_true(json_is_false(json_object_get(exited, "asked")));
        json_decref(exited);
        check_record("unhealthy", 0);
        assert_int_equal(fake_daemon_wait(&t.daemon), 0);
}

/* A stop that somebody asks for in between makes it that. */
static void test_unhealthy_and_stopped(void **state) {
        launch_probing("deaf", "message", NULL, health_of("probe", NULL));
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        expect_health("unhealthy");
        ask(json_pack("{s:s, s:i, s:b}", "type", "stop", "timeout", 60000000, "unhealthy", 1));
        expect_reply("");
        expect_state("stopping");
        ask(json_pack("{s:s, s:i}", "type", "stop", "timeout", 0));
        expect_reply("");
        expect_exit("killed", 137, "");
}

static void test_health_by_console(void **state) {
        launch_probing("run", "message", NULL, health_of("console", "hello"));
        fake_daemon_skip(&t.daemon, "program");
        fake_daemon_skip(&t.daemon, "ready");
        {
                json_t *m = fake_daemon_expect(&t.daemon, "health");

                /* The line may come before it is known that the program runs; then it is silent ever after. */
                if (strcmp(text_of(m, "health"), "healthy") == 0)
                        expect_health("unhealthy");
                else
                        assert_string_equal(text_of(m, "health"), "unhealthy");
                json_decref(m);
        }
        stop(0);
        expect_exit("killed", 137, "");
}

/* A hundred thousand results in a row: a word or two, and the rest is answered. */
static void test_probe_flood(void **state) {
        unsigned words = 0;
        json_t *m;

        launch_probing("probe-flood", "probe", NULL, health_of("probe", NULL));
        fake_daemon_skip(&t.daemon, "program");
        ask(json_pack("{s:s}", "type", "pause"));
        while ((m = fake_daemon_expect(&t.daemon, NULL)) && strcmp(text_of(m, "type"), "reply") != 0) {
                words++;
                json_decref(m);
        }
        json_decref(m);
        assert_in_range(words, 0, 100);
        expect_state("paused");
        stop(0);
        expect_exit("killed", 137, "");
}

static void test_bad_probes(void **state) {
        static const char *const bad[] = {"{'ready': 'console'}", "{'ready': 'console', 'ready_pattern': '***'}", "{'ready': 7}",
                "{'health': {}}", "{'health': {'kind': 'probe'}}", "{'health': {'kind': 'console', 'interval': 1, 'timeout': 1, 'retries': 1}}",
                "{'health': {'kind': 'probe', 'interval': 0, 'timeout': 1, 'retries': 1}}",
                "{'health': {'kind': 'probe', 'interval': 1, 'timeout': 1, 'retries': 1001}}"};

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                json_t *message = launch_message("run", true), *more;
                char text[256];

                (void) snprintf(text, sizeof text, "%s", bad[i]);
                for (char *c = text; *c; c++)
                        if (*c == '\'')
                                *c = '"';
                more = json_loads(text, 0, NULL);
                assert_non_null(more);
                (void) json_object_update(message, more);
                json_decref(more);
                launch_with(message);
                assert_int_equal(fake_daemon_wait(&t.daemon), 1);
                teardown(NULL);
                setup(NULL);
        }
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
                CASE(test_display),
                CASE(test_display_refused),
                CASE(test_no_display),
                CASE(test_display_waits),
                CASE(test_ready_by_probe),
                CASE(test_ready_by_console),
                CASE(test_unhealthy),
                CASE(test_unhealthy_and_stopped),
                CASE(test_health_by_console),
                CASE(test_probe_flood),
                CASE(test_bad_probes),
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
