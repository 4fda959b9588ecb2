/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new daemon: monitors that come back to it, those that do not, and units that others started. */
#include "web.h"

static json_t *hello_again(const char *state, bool ready) {
        return json_pack("{s:s, s:i, s:i, s:s, s:i, s:I, s:b}", "type", "hello", "version", 1, "boot", 1, "state", state, "pid", 4242,
                "started", (json_int_t) 1700000000000000, "ready", ready);
}

static void test_adoption(void **state) {
        static const int signals[] = {SIGKILL, SIGTERM};
        Rig *r = *state;
        g_autoptr(sd_bus_message) stop = NULL, twice = NULL;
        FakeHelper *h;

        (void) ready_web(r);
        for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
                restart(r, signals[i]);
                h = fake_connect(r, MONITOR, hello_again("running", true));
                rig_settle(r);
                assert_false(h->closed);
                assert_property(r, WEB, VM, "State", "running");
                assert_property(r, WEB, VM, "Ready", "true");
                assert_property(r, WEB, VM, "MainPID", "4242");
                assert_property(r, WEB, VM, "StartedAt", "1700000000000000");
                assert_property(r, WEB, VM, "BootId", "1");
                assert_property(r, ROOT, MANAGER, "RunningCount", "1");
        }
        assert_int_equal(unit_runs(r, MONITOR), 1); /* nobody touched the unit */
        assert_int_equal(unit_runs(r, PASST), 1);
        twice = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_error(twice, ERROR("VMRunning"));
        stop = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 1000000, 0);
        assert_good(stop);
        until(r, trace_has(r, "JobRemoved 2 " ROOT "/job/2 done"));
        assert_property(r, WEB, VM, "State", "stopped");
        rig_settle(r);
        assert_int_equal(unit_runs(r, PASST), 0);
}

static uint64_t uptime(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "GetMetrics", "ao", 1, WEB);
        g_autoptr(GString) text = g_string_new(NULL);
        const char *at;

        assert_good(reply);
        append_value(text, reply);
        at = strstr(text->str, "UptimeUsec");
        assert_non_null(at);
        return g_ascii_strtoull(at + strcspn(at, "0123456789"), NULL, 10);
}

/* The host's clock was set, back or forth, while the VM ran: when it began is what it was, and how long it runs is no difference. */
static void test_adoption_after_clock_was_set(void **state) {
        static const int64_t years[] = {-1, 1};
        Rig *r = *state;

        (void) ready_web(r);
        for (size_t i = 0; i < G_N_ELEMENTS(years); i++) {
                json_t *hello = hello_again("running", true);

                restart(r, SIGKILL);
                assert_in_range(uptime(r), 60 * G_USEC_PER_SEC, UINT64_MAX); /* by its record, before it is back */
                (void) json_object_set_new(hello, "started", json_integer(g_get_real_time() + years[i] * 365 * 86400 * G_USEC_PER_SEC));
                (void) json_object_set_new(hello, "since", json_integer(g_get_monotonic_time() - 60 * G_USEC_PER_SEC));
                (void) fake_connect(r, MONITOR, hello);
                rig_settle(r);
                assert_property(r, WEB, VM, "StartedAt", "1700000000000000");
                assert_in_range(uptime(r), 60 * G_USEC_PER_SEC, 600 * G_USEC_PER_SEC);
        }
}

static void test_adoption_states(void **state) {
        static const struct {
                const char *said, *state, *ready;
        } cases[] = {{"paused", "paused", "true"}, {"stopping", "stopping", "true"}};
        Rig *r = *state;

        (void) ready_web(r);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                restart(r, SIGKILL);
                (void) fake_connect(r, MONITOR, hello_again(cases[i].said, true));
                rig_settle(r);
                assert_property(r, WEB, VM, "State", cases[i].state);
                assert_property(r, WEB, VM, "Ready", cases[i].ready);
        }
}

/* The guest ended while no daemon was there. */
static void test_adoption_of_an_end(void **state) {
        Rig *r = *state;
        FakeHelper *h;
        json_t *hello = hello_again("exited", true);

        (void) ready_web(r);
        (void) json_object_set_new(hello, "exit",
                json_pack("{s:s, s:s, s:i, s:I}", "type", "exited", "reason", "guest-exit", "code", 9, "at", (json_int_t) 1700000003000000));
        restart(r, SIGKILL);
        h = fake_connect(r, MONITOR, hello);
        until(r, h->closed);
        assert_property(r, WEB, VM, "State", "stopped");
        assert_property(r, WEB, VM, "ExitReason", "guest-exit");
        assert_property(r, WEB, VM, "ExitCode", "9");
        assert_startable(r);
}

/* Another boot's monitor says nothing of this one: goodbye, and the right one is still awaited. */
static void test_adoption_of_another_boot(void **state) {
        Rig *r = *state;
        json_t *hello = hello_again("exited", true);
        FakeHelper *h;

        (void) ready_web(r);
        (void) json_object_set_new(hello, "boot", json_integer(7));
        (void) json_object_set_new(hello, "exit", json_pack("{s:s, s:s, s:i, s:i}", "type", "exited", "reason", "killed", "code", 0, "at", 1));
        restart(r, SIGKILL);
        h = fake_connect(r, MONITOR, hello);
        until(r, h->closed);
        rig_settle(r);
        assert_property(r, WEB, VM, "State", "running");
        h = fake_connect(r, MONITOR, hello_again("running", true));
        rig_settle(r);
        assert_false(h->closed);
        assert_property(r, WEB, VM, "Ready", "true");
}

/* The unit began anew while no daemon was there: that is the end of one boot and the beginning of the next. */
static void test_unit_began_anew(void **state) {
        Rig *r = *state;
        FakeHelper *h;

        (void) ready_web(r);
        restart(r, SIGKILL);
        h = fake_connect(r, MONITOR, NULL);
        until(r, h->launch);
        assert_int_equal(json_integer_value(json_object_get(h->launch, "boot")), 2);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        assert_property(r, WEB, VM, "State", "running");
        assert_property(r, WEB, VM, "BootId", "2");
}

/* systemctl start: as good as VM.Start. */
static void test_started_by_hand(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) created = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);
        FakeHelper *h;

        assert_good(created);
        h = fake_connect(r, MONITOR, NULL);
        until(r, h->launch);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        assert_property(r, WEB, VM, "State", "running");
        fake_exited(h, "guest-exit", 0);
        until_state(r, "stopped");
        assert_startable(r);
}

/* Killed while the VM was started: the monitor comes with what it was told, or was never told anything. */
static void test_killed_while_starting(void **state) {
        Rig *r = *state;
        FakeHelper *h;

        (void) launch_web(r);
        restart(r, SIGKILL);
        h = fake_connect(r, MONITOR, hello_again("starting", false));
        rig_settle(r);
        assert_false(h->closed);
        assert_property(r, WEB, VM, "State", "starting");
        fake_running(h);
        fake_say(h, json_pack("{s:s}", "type", "ready"));
        until_state(r, "running");
        assert_property(r, WEB, VM, "Ready", "true");
}

static void test_killed_while_preparing(void **state) {
        Rig *r = *state;

        r->play[KIND_WORKER] = play_nothing;
        run_web(r);
        until(r, fake_heard(fake_find(r, "mcp-image@1.service"), "launch"));
        rig_settle(r);
        r->play[KIND_WORKER] = play_worker;
        restart(r, SIGKILL);
        rig_settle(r);
        assert_property(r, WEB, VM, "MainPID", "0");
        until(r, rig_count_temporaries(r) == 0);
        assert_startable(r);
}

/* Nothing runs after a boot of the host, whatever the records say. */
static void test_host_reboot(void **state) {
        Rig *r = *state;

        (void) ready_web(r);
        rig_stop_daemon(r, SIGKILL);
        g_free(r->host_boot);
        r->host_boot = g_strdup("5f4a4c06-0000-4000-8000-000000000002");
        fake_close(fake_find(r, MONITOR));
        rig_start_daemon(r);
        assert_property(r, WEB, VM, "State", "stopped");
        assert_property(r, WEB, VM, "ExitReason", "host-reboot");
        assert_startable(r);
}

/* The one that does not come back: lost after the grace time, its unit ended. */
static void test_grace(void **state) {
        Rig *r = *state;
        json_t *hello = hello_again("running", true);
        g_autofree char *log = NULL;
        FakeHelper *h;
        uint64_t begin;

        (void) ready_web(r);
        restart(r, SIGKILL);
        begin = rig_deadline(0);
        /* One of a build that speaks otherwise counts as none, and the log says why. */
        (void) json_object_set_new(hello, "version", json_integer(2));
        h = fake_connect(r, MONITOR, hello);
        until(r, h->closed);
        log = rig_read(r, "daemon.log");
        assert_non_null(strstr(
                log, "mcp-vm@web.service speaks version 2 of the launch socket's language, this daemon version 1"));
        assert_property(r, WEB, VM, "State", "running"); /* as far as anybody knows */
        until(r, trace_has(r, "changed /vm/web State=failed"));
        assert_true(rig_deadline(0) - begin > 5 * G_USEC_PER_SEC);
        assert_property(r, WEB, VM, "ExitReason", "lost");
        rig_settle(r);
        assert_int_equal(unit_runs(r, MONITOR), 0);
        assert_int_equal(unit_runs(r, PASST), 0);
}

/* Stop and Remove do not wait for the grace time: nobody is there who could be asked. */
static void test_stop_of_an_awaited(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) stop = NULL;

        (void) ready_web(r);
        restart(r, SIGKILL);
        stop = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 1000000, 0);
        assert_good(stop);
        until(r, trace_has(r, "JobRemoved 2 " ROOT "/job/2 done"));
        assert_int_equal(unit_runs(r, MONITOR), 0);
        assert_startable(r);
}

/* The daemon dies, and the VM's monitor says hello to the next one; what a subscriber hears who stays is in the trace. */
static void next_daemon(Rig *r, json_t *hello) {
        rig_stop_daemon(r, SIGKILL);
        for (guint i = 0; i < r->helpers->len; i++)
                fake_close(r->helpers->pdata[i]);
        trace_clear(r);
        rig_fork_daemon(r);
        if (hello)
                (void) fake_connect(r, MONITOR, hello);
        rig_await_daemon(r);
        rig_settle(r);
}

/* Who stays through deaths of the daemon hears each change once, and nothing that he knows (that is the rig's check, too). */
static void test_subscriber(void **state) {
        static const char *const states[] = {"paused", "running", "stopping"};
        Rig *r = *state;
        json_t *hello;

        (void) ready_web(r);
        for (unsigned i = 0; i < 2; i++) {
                next_daemon(r, hello_again("running", true));
                assert_property(r, WEB, VM, "Ready", "true");
                assert_int_equal(trace_count(r, "changed"), 0);
                assert_int_equal(trace_count(r, "added") + trace_count(r, "VMNew") + trace_count(r, "Job"), 0);
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(states); i++) { /* what has happened meanwhile is told, once */
                g_autofree char *told = g_strconcat("changed /vm/web State=", states[i], NULL);

                next_daemon(r, hello_again(states[i], true));
                assert_int_equal(trace_count(r, told), 1);
                assert_int_equal(trace_count(r, "changed /vm/web"), 1);
                next_daemon(r, hello_again(states[i], true));
                assert_int_equal(trace_count(r, "changed"), 0);
        }
        hello = hello_again("exited", true);
        (void) json_object_set_new(hello, "exit",
                json_pack("{s:s, s:s, s:i, s:I}", "type", "exited", "reason", "crashed", "code", 139, "at", (json_int_t) 1700000003000000));
        next_daemon(r, hello);
        assert_int_equal(trace_count(r, "changed /vm/web State="), 1);
        assert_int_equal(trace_count(r, "changed /vm/web State=failed"), 1);
        assert_int_equal(trace_count(r, "changed /vm/web ExitCode=139"), 1);
        assert_int_equal(trace_count(r, "changed /vm/web Ready=false"), 1);
        assert_property(r, ROOT, MANAGER, "RunningCount", "0");
        next_daemon(r, NULL);
        assert_int_equal(trace_count(r, "changed"), 0);
}

/* One whose monitor takes its time: what is not known is not said to be so, and said again when it is. */
static void test_subscriber_waits(void **state) {
        Rig *r = *state;

        (void) ready_web(r);
        next_daemon(r, NULL);
        assert_property(r, WEB, VM, "Ready", "false");
        assert_int_equal(trace_count(r, "changed /vm/web Ready=false"), 1);
        assert_int_equal(trace_count(r, "changed /vm/web State="), 0);
        trace_clear(r);
        (void) fake_connect(r, MONITOR, hello_again("running", true));
        rig_settle(r);
        assert_int_equal(trace_count(r, "changed /vm/web Ready=true"), 1);
        assert_int_equal(trace_count(r, "changed /vm/web State="), 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_adoption, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_adoption_after_clock_was_set, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_adoption_states, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_adoption_of_an_end, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_adoption_of_another_boot, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_unit_began_anew, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_started_by_hand, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_killed_while_starting, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_killed_while_preparing, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_host_reboot, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_subscriber, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_subscriber_waits, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_grace, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_stop_of_an_awaited, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
