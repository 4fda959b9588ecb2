/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns a monitor between a stand-in daemon and a stand-in QEMU, and what tests say to it and hear. */
#include "machine-case.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct machine_case t;

int setup(void **state) {
        t.id = 10;
        fake_daemon_open(&t.daemon);
        for (size_t i = 0; i < LOG_SEGMENTS; i++)
                t.log[i] = memfd_create("log", MFD_CLOEXEC);
        t.exit = memfd_create("exit", MFD_CLOEXEC);
        return 0;
}

int teardown(void **state) {
        fake_daemon_close(&t.daemon);
        for (size_t i = 0; i < LOG_SEGMENTS; i++)
                (void) close(t.log[i]);
        (void) close(t.exit);
        return 0;
}

json_t *launch_message(const char *mode, bool guest) {
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

void launch_with(json_t *message) {
        _cleanup_close_ int extra = memfd_create("extra", MFD_CLOEXEC);
        const int fds[] = {t.log[0], t.log[1], t.log[2], t.exit, extra};

        fake_daemon_start(&t.daemon, getenv("MONITOR"));
        fake_daemon_send(&t.daemon, message, fds, 5);
}

void launch(const char *mode, bool guest) {
        json_t *message = launch_message(mode, guest);

        if (strcmp(mode, "inventory") == 0)
                (void) json_object_set_new(message, "environment", json_pack("[s]", "LD_LIBRARY_PATH=/proc/self/fd/7/lib"));
        launch_with(message);
}

void launch_ready(const char *mode) {
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
void launch_silent(const char *mode) {
        launch(mode, true);
        fake_daemon_skip(&t.daemon, "running");
}

void ask(json_t *message) {
        (void) json_object_set_new(message, "id", json_integer(++t.id));
        fake_daemon_send(&t.daemon, message, NULL, 0);
}

void expect_reply(const char *error) {
        json_t *reply = fake_daemon_expect(&t.daemon, "reply");

        assert_int_equal(number_of(reply, "id"), t.id);
        assert_string_equal(text_of(reply, "error"), error);
        json_decref(reply);
}

void expect_state(const char *name) {
        json_t *message = fake_daemon_expect(&t.daemon, "state");

        assert_string_equal(text_of(message, "state"), name);
        json_decref(message);
}

void expect_stopping(bool asked) {
        json_t *message = fake_daemon_expect(&t.daemon, "state");

        assert_string_equal(text_of(message, "state"), "stopping");
        assert_int_equal(json_is_true(json_object_get(message, "asked")), asked);
        json_decref(message);
}

void stop(uint64_t timeout) {
        ask(json_pack("{s:s, s:I}", "type", "stop", "timeout", (json_int_t) timeout));
        expect_reply("");
        expect_stopping(true);
}

/* The record on disk is what was said, and names the boot. */
void check_record(const char *reason, int code) {
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

void expect_exit_status(const char *reason, int code, const char *words, int status) {
        json_t *exited = fake_daemon_expect(&t.daemon, "exited");

        assert_string_equal(text_of(exited, "reason"), reason);
        assert_int_equal(number_of(exited, "code"), code);
        if (!strstr(text_of(exited, "message"), words))
                fail_msg("\"%s\" does not say \"%s\"", text_of(exited, "message"), words);
        json_decref(exited);
        check_record(reason, code);
        assert_int_equal(fake_daemon_wait(&t.daemon), status);
}

void expect_exit(const char *reason, int code, const char *words) {
        expect_exit_status(reason, code, words, 0);
}

/* Whether the log holds this text. */
bool logged(const char *text) {
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
bool logged_soon(const char *text) {
        for (unsigned i = 0; i < 500; i++) {
                if (logged(text))
                        return true;
                (void) usleep(10000);
        }
        return false;
}
