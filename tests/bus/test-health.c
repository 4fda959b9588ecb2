/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ready and health: what the monitor is told, what its words do, and what a policy makes of them. */
#include "rig.h"

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"

static void say(FakeHelper *h, const char *type) {
        fake_say(h, json_pack("{s:s}", "type", type));
}

static void say_health(FakeHelper *h, const char *health) {
        fake_say(h, json_pack("{s:s, s:s}", "type", "health", "health", health));
}

/* RunVM with a console pattern for ready, which has a second, and http for health. */
static FakeHelper *run_web(Rig *r, const char *restart, bool wait) {
        g_autoptr(sd_bus_message) reply = NULL;

        r->play[KIND_VM] = play_nothing;
        reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 7, "Image", "s", REFERENCE, "Accelerator", "s",
                "tcg", "Network", "s", "none", "Restart", "s", restart, "WaitReady", "b", (int) wait, "Ready", "a{sv}",
                3, "Kind", "s", "console", "Pattern", "s", "up", "StartPeriod", "t", (uint64_t) 1000000, "Health",
                "a{sv}", 3, "Kind", "s", "http", "Port", "q", 80, "Retries", "u", 2);
        assert_good(reply);
        until(r, fake_heard(fake_find(r, MONITOR), "launch"));
        fake_running(fake_find(r, MONITOR));
        return fake_find(r, MONITOR);
}

static void test_launch(void **state) {
        Rig *r = *state;
        FakeHelper *h = run_web(r, "no", false);
        json_t *health = json_object_get(h->launch, "health");

        assert_string_equal(json_string_value(json_object_get(h->launch, "ready")), "console");
        assert_string_equal(json_string_value(json_object_get(h->launch, "ready_pattern")), "up");
        assert_string_equal(json_string_value(json_object_get(health, "kind")), "probe");
        assert_int_equal(json_integer_value(json_object_get(health, "retries")), 2);
        assert_int_equal(json_integer_value(json_object_get(health, "interval")), 10000000);
}

/* Without WaitReady the job is done when the program runs; ready comes later. */
static void test_without_waiting(void **state) {
        Rig *r = *state;
        FakeHelper *h = run_web(r, "no", false);

        assert_property(r, WEB, VM, "Health", "starting");
        say(h, "program");
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_property(r, WEB, VM, "Ready", "false");
        say(h, "ready");
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        say_health(h, "healthy");
        until(r, trace_has(r, "changed /vm/web Health=healthy"));
        /* After a reset it begins anew. */
        fake_say(h, json_pack("{s:s, s:b}", "type", "ready", "ready", 0));
        until(r, trace_has(r, "changed /vm/web Ready=false"));
}

static void test_waiting(void **state) {
        Rig *r = *state;
        FakeHelper *h = run_web(r, "no", true);

        say(h, "program");
        until(r, trace_has(r, "changed /job/1 Stage=ready"));
        assert_false(trace_has(r, "JobRemoved"));
        say(h, "ready");
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_property(r, WEB, VM, "Ready", "true");
}

/* Not in its time: the job says so, the VM goes on, and may be ready later. */
static void test_waiting_too_long(void **state) {
        Rig *r = *state;
        FakeHelper *h = run_web(r, "no", true);

        say(h, "program");
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 failed " ERROR("Timeout")));
        assert_property(r, WEB, VM, "State", "running");
        say(h, "ready");
        until(r, trace_has(r, "changed /vm/web Ready=true"));
}

/* The VM ends, or is stopped, while somebody waits. */
static void test_end_while_waiting(void **state) {
        Rig *r = *state;
        FakeHelper *h = run_web(r, "no", true);
        g_autoptr(sd_bus_message) reply = NULL, stop = NULL;

        say(h, "program");
        until(r, trace_has(r, "changed /job/1 Stage=ready"));
        fake_exited(h, "guest-exit", 3);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 failed " ERROR("GuestNotResponding")));
        assert_property(r, WEB, VM, "Health", "none");

        reply = rig_call(r, WEB, VM, "Start", "a{sv}", 1, "WaitReady", "b", 1);
        assert_good(reply);
        until(r, fake_heard(fake_find(r, MONITOR), "launch") && fake_find(r, MONITOR) != h);
        h = fake_find(r, MONITOR);
        fake_running(h);
        say(h, "program");
        until(r, trace_has(r, "changed /job/2 Stage=ready"));
        h->rig->play[KIND_VM] = play_monitor;
        stop = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 1000000, 0);
        assert_good(stop);
        until(r, trace_has(r, "JobRemoved 2 " ROOT "/job/2 canceled"));
        until(r, trace_has(r, "JobRemoved 3 " ROOT "/job/3 done"));
}

/* Nobody's policy: it is told, and that is all. */
static void test_unhealthy_is_left(void **state) {
        Rig *r = *state;
        FakeHelper *h = run_web(r, "no", false);

        say(h, "program");
        say_health(h, "unhealthy");
        until(r, trace_has(r, "changed /vm/web Health=unhealthy"));
        rig_settle(r);
        assert_null(fake_heard(h, "stop"));
        assert_property(r, WEB, VM, "State", "running");
}

static void test_unhealthy_restarts(void **state) {
        Rig *r = *state;
        FakeHelper *h = run_web(r, "on-failure", false);
        json_t *stop;

        say(h, "program");
        say_health(h, "unhealthy");
        until(r, (stop = fake_heard(h, "stop")));
        assert_true(json_is_true(json_object_get(stop, "unhealthy")));
        assert_property(r, WEB, VM, "State", "stopping");
        fake_say(h, json_pack("{s:s, s:s, s:b}", "type", "state", "state", "stopping", "asked", 1));
        fake_exited(h, "unhealthy", 0);
        until(r, trace_has(r, "changed /vm/web ExitReason=unhealthy"));
        until(r, trace_has(r, "changed /vm/web RestartCount=1"));
        until(r, fake_find(r, MONITOR) != h && fake_heard(fake_find(r, MONITOR), "launch"));
}

/* The daemon dies in between: the one after it knows the end for what it was. */
static void test_unhealthy_over_daemon_death(void **state) {
        Rig *r = *state;
        FakeHelper *h = run_web(r, "on-failure", false), *back;

        say(h, "program");
        say_health(h, "unhealthy");
        until(r, fake_heard(h, "stop"));
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        back = fake_connect(r, MONITOR,
                json_pack("{s:s, s:i, s:i, s:s, s:i, s:I, s:b, s:s}", "type", "hello", "version", 1, "boot", 1, "state",
                        "stopping", "pid", 4242, "started", (json_int_t) 1700000000000000, "ready", 0, "health",
                        "unhealthy"));
        until(r, trace_has(r, "changed /vm/web Health=unhealthy"));
        fake_say(back, json_pack("{s:s, s:s, s:i, s:I, s:b}", "type", "exited", "reason", "unhealthy", "code", 0, "at",
                               (json_int_t) 1700000001000000, "asked", 0));
        until(r, trace_has(r, "changed /vm/web RestartCount=1"));
}

/* Words that no monitor should say. */
static void test_nonsense(void **state) {
        static const char *const texts[] = {"{\"type\":\"health\"}", "{\"type\":\"health\",\"health\":7}",
                "{\"type\":\"health\",\"health\":\"splendid\"}", "{\"type\":\"program\",\"program\":7}",
                "{\"type\":\"ready\",\"ready\":7}"};
        Rig *r = *state;
        FakeHelper *h = run_web(r, "always", false);

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                fake_say_text(h, texts[i], strlen(texts[i]));
                rig_settle(r);
                assert_property(r, WEB, VM, "State", "running");
                assert_property(r, WEB, VM, "Health", "starting");
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_launch, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_without_waiting, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_waiting, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_waiting_too_long, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_end_while_waiting, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_unhealthy_is_left, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_unhealthy_restarts, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_unhealthy_over_daemon_death, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_nonsense, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
