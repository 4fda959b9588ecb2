/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenConsole and OpenDisplay: who gets which end of what, and who gets nothing. */
#include "rig.h"

#include <sys/socket.h>
#include <unistd.h>

#include "shared/fd.h"

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"

/* A VM that runs, after a restart of the daemon: its record and its monitor are all there is of it. */
static FakeHelper *adopt_web(Rig *r, const char *profile) {
        g_autoptr(sd_bus_message) reply = rig_call(
                r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "Accelerator", "s", "tcg");
        g_autofree char *text = NULL;
        json_t *record;
        char *changed;
        FakeHelper *h;

        assert_good(reply);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        rig_settle(r);
        rig_stop_daemon(r, SIGKILL);
        for (guint i = 0; i < r->helpers->len; i++)
                fake_close(r->helpers->pdata[i]);
        g_queue_clear_full(&r->identities, g_free);
        trace_clear(r);
        text = rig_read(r, "state/vms/web/meta.json");
        record = json_loads(text, 0, NULL);
        (void) json_object_set_new(record, "profile", json_string(profile));
        changed = json_dumps(record, 0);
        rig_write(r, "state/vms/web/meta.json", changed);
        free(changed);
        json_decref(record);
        rig_start_daemon(r);
        h = fake_connect(r, MONITOR,
                json_pack("{s:s, s:i, s:i, s:s, s:i, s:I, s:b}", "type", "hello", "version", 1, "boot", 1, "state",
                        "running", "pid", 4242, "started", (json_int_t) 1700000000000000, "ready", 1));
        rig_settle(r);
        assert_property(r, WEB, VM, "State", "running");
        return h;
}

/* Says its name over what it is given, and takes it. */
static void play_view(FakeHelper *h, json_t *message) {
        const char *type = json_string_value(json_object_get(message, "type"));

        if (strcmp(type, "console") != 0 && strcmp(type, "display") != 0) {
                play_monitor(h, message);
                return;
        }
        assert_int_equal(h->n_fds, 1);
        assert_true(fd_is_stream(h->fds[0]));
        assert_int_equal(write_all(h->fds[0], type, strlen(type)), 0);
        h->n_fds = 0;
        (void) close(h->fds[0]);
        fake_say(h, json_pack("{s:s, s:O}", "type", "reply", "id", json_object_get(message, "id")));
}

static void play_death(FakeHelper *h, json_t *message) {
        if (strcmp(json_string_value(json_object_get(message, "type")), "display") != 0)
                return;
        fake_close(h);
}

static void play_refusal(FakeHelper *h, json_t *message) {
        if (strcmp(json_string_value(json_object_get(message, "type")), "display") != 0)
                return;
        h->n_fds = 0;
        (void) close(h->fds[0]);
        fake_say(h, json_pack("{s:s, s:O, s:s, s:s}", "type", "reply", "id", json_object_get(message, "id"), "error",
                            "Busy", "message", "8 viewers have the display open, which is the limit"));
}

static void assert_says(sd_bus_message *reply, const char *wanted) {
        char text[32] = "";
        int fd;

        assert_good(reply);
        assert_true(sd_bus_message_read(reply, "h", &fd) > 0);
        assert_int_equal(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), strlen(wanted));
        assert_string_equal(text, wanted);
        assert_int_equal(recv(fd, text, 1, MSG_DONTWAIT), 0);
}

static void test_display(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) first = NULL, second = NULL, unknown = NULL, console = NULL;

        r->play[KIND_VM] = play_view;
        (void) adopt_web(r, "kvm-uefi");
        first = rig_call(r, WEB, VM, "OpenDisplay", "a{sv}", 0);
        assert_says(first, "display");
        second = rig_call(r, WEB, VM, "OpenDisplay", "a{sv}", 0);
        assert_says(second, "display");
        console = rig_call(r, WEB, VM, "OpenConsole", "a{sv}", 0);
        assert_says(console, "console");
        unknown = rig_call(r, WEB, VM, "OpenDisplay", "a{sv}", 1, "write", "b", 1);
        assert_error(unknown, ERROR("InvalidSpec"));
}

static void test_refused_by_the_monitor(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;

        (void) adopt_web(r, "kvm-uefi");
        r->play[KIND_VM] = play_refusal;
        reply = rig_call(r, WEB, VM, "OpenDisplay", "a{sv}", 0);
        assert_error(reply, ERROR("Busy"));
        assert_non_null(strstr(sd_bus_message_get_error(reply)->message, "8 viewers"));
}

/* The monitor goes with the caller's other end. */
static void test_monitor_dies(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;

        (void) adopt_web(r, "kvm-uefi");
        r->play[KIND_VM] = play_death;
        reply = rig_call(r, WEB, VM, "OpenDisplay", "a{sv}", 0);
        assert_true(sd_bus_message_is_method_error(reply, NULL));
        rig_assert_alive(r);
}

static void test_no_display(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;
        FakeHelper *h = adopt_web(r, "emulate-x86");

        reply = rig_call(r, WEB, VM, "OpenDisplay", "a{sv}", 0);
        assert_error(reply, ERROR("NotSupported"));
        assert_non_null(strstr(sd_bus_message_get_error(reply)->message, "'kvm-uefi'"));
        assert_null(fake_heard(h, "display"));
}

static void test_not_running(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) made = NULL, display = NULL, console = NULL;

        made = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 3, "Image", "s", REFERENCE, "Accelerator", "s",
                "tcg", "Profile", "s", "kvm-uefi");
        assert_good(made);
        display = rig_call(r, WEB, VM, "OpenDisplay", "a{sv}", 0);
        assert_error(display, ERROR("VMNotRunning"));
        console = rig_call(r, WEB, VM, "OpenConsole", "a{sv}", 0);
        assert_error(console, ERROR("VMNotRunning"));
}

/* Asked as every change of one's own VM is, and a no gives no descriptor. */
static void test_gate(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;
        FakeHelper *h = adopt_web(r, "kvm-uefi");
        Question *q;

        r->answer = POLKIT_NO;
        reply = rig_call(r, WEB, VM, "OpenDisplay", "a{sv}", 0);
        assert_error(reply, SD_BUS_ERROR_ACCESS_DENIED);
        assert_null(fake_heard(h, "display"));
        q = r->questions->pdata[r->questions->len - 1];
        assert_string_equal(q->action, "org.mcp.Runtime1.run-vm");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(test_display),
                CASE(test_refused_by_the_monitor),
                CASE(test_monitor_dies),
                CASE(test_no_display),
                CASE(test_not_running),
                CASE(test_gate),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
