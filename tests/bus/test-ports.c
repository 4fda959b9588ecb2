/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Published ports: picked by the helper, and other ones for a VM that runs. */
#include "rig.h"

#include "shared/wire.h"

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"
#define PASST "mcp-passt@web.service"

static void play_picking(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say(h, json_pack("{s:s, s:[i,i]}", "type", "ready", "picked", 40001, 40002));
}

static void play_picking_none(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say(h, json_pack("{s:s, s:[]}", "type", "ready", "picked"));
}

static void play_picking_nonsense(FakeHelper *h, json_t *message) {
        if (strcmp(wire_type(message), "launch") == 0)
                fake_say(h, json_pack("{s:s, s:[i,i]}", "type", "ready", "picked", 40001, 70000));
}

static void run_web(Rig *r, const char *first, const char *second) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 4, "Image", "s", REFERENCE,
                "Accelerator", "s", "tcg", "Network", "s", "user", "Ports", "as", 2, first, second);

        assert_good(reply);
}

static void ready_web(Rig *r, const char *first, const char *second) {
        run_web(r, first, second);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        rig_settle(r);
}

static void assert_ports(Rig *r, const char *expected) {
        g_autofree char *ports = rig_get(r, WEB, VM, "Ports");

        assert_string_equal(ports, expected);
}

static Pending *update_ports(Rig *r, const char *port) {
        return rig_send(r, r->caller, WEB, VM, "Update", "a{sv}", 1, "Ports", "as", 1, port);
}

/* The message that asks for other forwards; its argv holds the text. */
static json_int_t asked_forwards(Rig *r, const char *argument) {
        json_t *message, *arg;
        size_t i;
        bool found = false;

        until(r, fake_heard(fake_find(r, PASST), "forwards"));
        message = fake_heard(fake_find(r, PASST), "forwards");
        json_array_foreach(json_object_get(message, "argv"), i, arg)
                found |= strcmp(json_string_value(arg), argument) == 0;
        assert_true(found);
        return json_integer_value(json_object_get(message, "id"));
}

/* The picks come in the command line's order, TCP first, and are the boot's alone. */
static void test_picked(void **state) {
        Rig *r = *state;

        r->play[KIND_PASST] = play_picking;
        ready_web(r, "0:53/udp", "0:80");
        assert_ports(r, "[(udp 127.0.0.1 40002 53) (tcp 127.0.0.1 40001 80)]");
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        assert_ports(r, "[(udp 127.0.0.1 40002 53) (tcp 127.0.0.1 40001 80)]");
        trace_clear(r);
        fake_exited(fake_connect(r, MONITOR, json_pack("{s:s, s:i, s:i, s:s, s:b}", "type", "hello", "version", 1, "boot", 1, "state", "running", "ready", 1)),
                "guest-exit", 0);
        until(r, trace_has(r, "changed /vm/web State=stopped"));
        assert_ports(r, "[(udp 127.0.0.1 0 53) (tcp 127.0.0.1 0 80)]");
}

static void assert_start_fails(Rig *r) {
        run_web(r, "0:53/udp", "0:80");
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 failed org.mcp.Runtime1.Error.BuildFailed"));
        rig_settle(r);
        assert_ports(r, "[(udp 127.0.0.1 0 53) (tcp 127.0.0.1 0 80)]");
        assert_int_equal(unit_runs(r, PASST), 0);
        assert_int_equal(unit_runs(r, MONITOR), 0);
}

static void test_picked_none(void **state) {
        Rig *r = *state;

        r->play[KIND_PASST] = play_picking_none;
        assert_start_fails(r);
}

static void test_picked_nonsense(void **state) {
        Rig *r = *state;

        r->play[KIND_PASST] = play_picking_nonsense;
        assert_start_fails(r);
}

/* Other ports, one of them picked, while it runs. */
static void test_update(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL;
        json_int_t id;

        ready_web(r, "8080:80", "8443:443");
        trace_clear(r);
        p = update_ports(r, "0:81");
        id = asked_forwards(r, "127.0.0.1/0:81");
        assert_ports(r, "[(tcp 127.0.0.1 8080 80) (tcp 127.0.0.1 8443 443)]");
        fake_say(fake_find(r, PASST), json_pack("{s:s, s:I, s:[i]}", "type", "reply", "id", id, "picked", 40007));
        until(r, p->reply);
        assert_good(p->reply);
        until(r, trace_has(r, "changed /vm/web Ports="));
        assert_ports(r, "[(tcp 127.0.0.1 40007 81)]");
        assert_property(r, WEB, VM, "State", "running");
}

static void test_update_refused(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL, second = NULL;
        json_int_t id;

        ready_web(r, "8080:80", "8443:443");
        p = update_ports(r, "22222:80");
        id = asked_forwards(r, "127.0.0.1/22222:80");
        second = update_ports(r, "22223:80");
        until(r, second->reply);
        assert_error(second->reply, ERROR("Busy"));
        /* An answer to something else is none. */
        fake_say(fake_find(r, PASST), json_pack("{s:s, s:I, s:[]}", "type", "reply", "id", id + 1, "picked"));
        rig_settle(r);
        assert_null(p->reply);
        fake_say(fake_find(r, PASST),
                json_pack("{s:s, s:I, s:[], s:s, s:s}", "type", "reply", "id", id, "picked", "error", "PortInUse", "message", "in use"));
        until(r, p->reply);
        assert_error(p->reply, ERROR("PortInUse"));
        assert_ports(r, "[(tcp 127.0.0.1 8080 80) (tcp 127.0.0.1 8443 443)]");
}

/* The helper or the VM goes while it is asked. */
static void test_update_ends(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL;

        ready_web(r, "8080:80", "8443:443");
        p = update_ports(r, "22222:80");
        (void) asked_forwards(r, "127.0.0.1/22222:80");
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        until(r, p->reply);
        assert_error(p->reply, ERROR("VMNotRunning"));
        assert_ports(r, "[(tcp 127.0.0.1 8080 80) (tcp 127.0.0.1 8443 443)]");
}

static void test_update_helper_gone(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL, again = NULL;

        ready_web(r, "8080:80", "8443:443");
        p = update_ports(r, "22222:80");
        (void) asked_forwards(r, "127.0.0.1/22222:80");
        fake_close(fake_find(r, PASST));
        until(r, p->reply);
        assert_error(p->reply, ERROR("BuildFailed"));
        again = update_ports(r, "22222:80");
        until(r, again->reply);
        assert_error(again->reply, ERROR("Busy"));
        assert_property(r, WEB, VM, "State", "running");
}

/* The helper comes back to a daemon that was away; one of another boot is not it. */
static void test_adopted(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL;
        FakeHelper *stale;
        json_int_t id;

        ready_web(r, "8080:80", "8443:443");
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        (void) fake_connect(r, MONITOR, json_pack("{s:s, s:i, s:i, s:s, s:b}", "type", "hello", "version", 1, "boot", 1, "state", "running", "ready", 1));
        stale = fake_connect(r, PASST, json_pack("{s:s, s:i, s:i}", "type", "hello", "version", 1, "boot", 7));
        until(r, stale->closed || fake_heard(stale, "goodbye"));
        (void) fake_connect(r, PASST, json_pack("{s:s, s:i, s:i}", "type", "hello", "version", 1, "boot", 1));
        rig_settle(r);
        p = update_ports(r, "22222:80");
        id = asked_forwards(r, "127.0.0.1/22222:80");
        fake_say(fake_find(r, PASST), json_pack("{s:s, s:I, s:[]}", "type", "reply", "id", id, "picked"));
        until(r, p->reply);
        assert_good(p->reply);
        assert_ports(r, "[(tcp 127.0.0.1 22222 80)]");
}

/* What needs a new start is named; what needs none is taken. */
static void test_keys(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) refused = NULL, taken = NULL;

        ready_web(r, "8080:80", "8443:443");
        refused = rig_call(r, WEB, VM, "Update", "a{sv}", 3, "MemoryMiB", "u", 300, "Restart", "s", "always", "VCPUs", "u", 2);
        assert_error(refused, ERROR("VMRunning"));
        assert_non_null(strstr(sd_bus_message_get_error(refused)->message, "MemoryMiB, VCPUs"));
        assert_property(r, WEB, VM, "Restart", "no");
        taken = rig_call(r, WEB, VM, "Update", "a{sv}", 2, "Restart", "s", "always", "MemoryMiB", "u", 256);
        assert_good(taken);
        assert_property(r, WEB, VM, "Restart", "always");
        assert_null(fake_heard(fake_find(r, PASST), "forwards"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_picked, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_picked_none, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_picked_nonsense, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_update, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_update_refused, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_update_ends, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_update_helper_gone, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_adopted, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_keys, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
