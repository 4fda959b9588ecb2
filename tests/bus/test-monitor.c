/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitors that misbehave: in their words, their connections and their ends. */
#include "web.h"

#include <sys/socket.h>

#include "shared/launch-wire.h"

/* ---- Bad words ---- */

static void test_garbage(void **state) {
        static const char *const texts[] = {"", "not json", "{", "[]", "{}", "{\"type\":7}", "{\"type\":\"running\",\"type\":\"ready\"}", "\xff\xfe"};
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                FakeHelper *h;
                g_autoptr(sd_bus_message) reply = NULL;

                if (i == 0) {
                        h = launch_web(r);
                } else {
                        r->play[KIND_VM] = play_nothing;
                        trace_clear(r);
                        reply = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
                        assert_good(reply);
                        until(r, fake_find(r, MONITOR)->fd >= 0 && fake_find(r, MONITOR)->launch);
                        h = fake_find(r, MONITOR);
                }
                fake_running(h);
                until(r, trace_has(r, "changed /vm/web State=running"));
                fake_say_text(h, texts[i], strlen(texts[i]));
                until(r, trace_has(r, "changed /vm/web State=failed"));
                assert_property(r, WEB, VM, "ExitReason", "lost");
                until(r, h->closed || h->fd < 0);
                rig_settle(r);
                assert_int_equal(unit_runs(r, MONITOR), 0); /* who talks nonsense is not left running */
                assert_int_equal(unit_runs(r, PASST), 0);
        }
        assert_startable(r);
}

/* The largest packet is taken, a larger one ends the connection. */
static void test_huge_message(void **state) {
        Rig *r = *state;
        FakeHelper *h = launch_web(r);
        g_autofree char *fill = g_strnfill(LAUNCH_MESSAGE_MAX - 100, 'x'), *more = g_strnfill(LAUNCH_MESSAGE_MAX, 'x');
        g_autofree char *fits = g_strdup_printf("{\"type\":\"guest-error\",\"message\":\"%s\"}", fill);
        g_autofree char *large = g_strdup_printf("{\"type\":\"guest-error\",\"message\":\"%s\"}", more);

        fake_running(h);
        fake_say_text(h, fits, strlen(fits));
        until_state(r, "running");
        assert_false(h->closed);
        fake_say_text(h, large, strlen(large));
        until_state(r, "failed");
}

/* What a guest said is shown bounded and plain. */
static void test_guest_text(void **state) {
        Rig *r = *state;
        FakeHelper *h = launch_web(r);
        g_autofree char *fill = g_strnfill(60000, 'x'), *reason = NULL;
        json_t *message = json_pack("{s:s, s:s+}", "type", "guest-error", "message", "\033[31mno such user\n\x01", fill);

        fake_running(h);
        fake_say(h, message);
        fake_exited(h, "guest-exit", 1);
        until_state(r, "failed");
        reason = rig_get(r, WEB, VM, "StateReason");
        assert_true(strlen(reason) < 2000);
        for (const char *p = reason; *p; p++)
                if ((unsigned char) *p < 0x20 || *p == 0x7f)
                        fail_msg("StateReason holds a control character");
}

/* Types nobody knows, words out of order, numbers out of range: ignored or bounded. */
static void test_unknown_words(void **state) {
        static const char *const texts[] = {
                "{\"type\":\"hello\",\"version\":1}",
                "{\"type\":\"launch\",\"fds\":[]}",
                "{\"type\":\"dance\"}",
                "{\"type\":\"reply\"}",
                "{\"type\":\"reply\",\"id\":-1}",
                "{\"type\":\"reply\",\"id\":99999999999999}",
                "{\"type\":\"state\"}",
                "{\"type\":\"state\",\"state\":\"created\"}",
                "{\"type\":\"state\",\"state\":\"failed\"}",
                "{\"type\":\"state\",\"state\":7}",
                "{\"type\":\"running\",\"pid\":-1,\"started\":-1}",
                "{\"type\":\"running\",\"pid\":\"x\"}",
                "{\"type\":\"running\",\"pid\":99999999999}",
                "{\"type\":\"ready\",\"ready\":false}",
                "{\"type\":\"guest-error\"}",
                "{\"type\":\"progress\",\"fraction\":7}",
                "{\"type\":\"done\"}",
                "{\"type\":\"failed\",\"error\":7}",
        };
        Rig *r = *state;
        FakeHelper *h = ready_web(r);

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                fake_say_text(h, texts[i], strlen(texts[i]));
                rig_settle(r);
                if (h->closed)
                        fail_msg("the connection ended after %s", texts[i]);
                assert_property(r, WEB, VM, "State", "running");
        }
}

static void test_exited_nonsense(void **state) {
        static const char *const texts[] = {
                "{\"type\":\"exited\"}",
                "{\"type\":\"exited\",\"reason\":\"\",\"code\":0,\"at\":1}",
                "{\"type\":\"exited\",\"reason\":\"flew away\",\"code\":99999999999,\"at\":-1,\"message\":7}",
        };
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                FakeHelper *h = i == 0 ? ready_web(r) : fake_find(r, MONITOR);

                trace_clear(r);
                fake_say_text(h, texts[i], strlen(texts[i]));
                until_state(r, "failed");
                assert_property(r, WEB, VM, "ExitReason", "crashed");
                assert_startable(r);
        }
}

/* Each end by its own name, and whether it is a failure. */
static void test_ends(void **state) {
        static const struct {
                const char *reason, *state, *words;
                int code;
        } cases[] = {
                {"guest-exit", "stopped", "exit code 0", 0},
                {"guest-exit", "stopped", "exit code 3", 3},
                {"guest-signal", "stopped", "signal 11 (SEGV)", 11},
                {"powered-off", "stopped", "powered itself off", 0},
                {"killed", "stopped", "ended by request", 137},
                {"crashed", "failed", "crashed", 139},
                {"oom", "failed", "memory ran out", 137},
                {"unhealthy", "failed", "unhealthy", 143},
        };
        Rig *r = *state;

        (void) ready_web(r);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *code = g_strdup_printf("%d", cases[i].code), *reason = NULL;

                trace_clear(r);
                fake_exited(fake_find(r, MONITOR), cases[i].reason, cases[i].code);
                until_state(r, cases[i].state);
                assert_property(r, WEB, VM, "ExitReason", cases[i].reason);
                assert_property(r, WEB, VM, "ExitCode", code);
                reason = rig_get(r, WEB, VM, "StateReason");
                if (!strstr(reason, cases[i].words))
                        fail_msg("%s: %s", cases[i].reason, reason);
                assert_startable(r);
        }
}

static void flood(FakeHelper *h, json_t *message) {
        if (strcmp(json_string_value(json_object_get(message, "type")), "launch") == 0)
                fake_running(h);
}

/* A monitor that talks without an end: others are served, and what is kept of it is bounded. */
static void test_flood(void **state) {
        Rig *r = *state;
        FakeHelper *h;
        static const char word[] = "{\"type\":\"state\",\"state\":\"paused\"}", back[] = "{\"type\":\"state\",\"state\":\"running\"}";

        r->play[KIND_VM] = flood;
        run_web(r);
        until(r, trace_has(r, "changed /vm/web State=running"));
        h = fake_find(r, MONITOR);
        for (unsigned i = 0; i < 20000; i++) {
                const char *text = i % 2 ? back : word;

                (void) send(h->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        rig_assert_alive(r);
        rig_settle(r);
}

/* ---- Connections ---- */

/* QEMU has the monitor's uid: who comes second is told goodbye, and the first one stays. */
static void test_second_connection(void **state) {
        Rig *r = *state;
        FakeHelper *first = ready_web(r), *second = fake_connect(r, MONITOR, NULL), *third;

        until(r, second->closed);
        assert_non_null(fake_heard(second, "goodbye"));
        assert_null(second->launch);
        third = fake_connect(r, MONITOR,
                json_pack("{s:s, s:i, s:i, s:s, s:i, s:I, s:b}", "type", "hello", "version", 1, "boot", 1, "state", "exited", "pid", 1,
                        "started", (json_int_t) 1, "ready", 1));
        until(r, third->closed);
        assert_false(first->closed);
        assert_property(r, WEB, VM, "State", "running");
}

/* Even before the first one has said a word, and with what it would say. */
static void test_strangers(void **state) {
        static const char *const units[] = {"mcp-vm@other.service", "mcp-image@77.service", "mcp-passt@web.service", "mcp-kvm-probe@9.service"};
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
                FakeHelper *h = fake_connect(r, units[i], NULL);

                until(r, h->closed);
                assert_null(h->launch);
        }
        {
                FakeHelper *user = fake_connect(r, "alice", NULL), *prefix = fake_connect(r, "mcp-vm-", NULL), *nobody = NULL;

                until(r, user->closed && prefix->closed);
                assert_int_equal(user->heard->len, 0);
                nobody = fake_connect_silent(r, "nobody");
                g_free(g_queue_pop_tail(&r->identities)); /* systemd knows no such dynamic user */
                fake_say(nobody, json_pack("{s:s, s:i}", "type", "hello", "version", 1));
                until(r, nobody->closed);
        }
        rig_assert_alive(r);
}

static void test_bad_hello(void **state) {
        static const char *const texts[] = {"{\"type\":\"hello\"}", "{\"type\":\"hello\",\"version\":2}", "{\"type\":\"hello\",\"version\":\"1\"}",
                "{\"type\":\"running\"}", "hello", "{\"type\":\"hello\",\"version\":1,\"version\":1}"};
        Rig *r = *state;

        r->start[KIND_VM] = START_SILENT;
        run_web(r);
        until(r, unit_runs(r, MONITOR) == 1);
        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                FakeHelper *h = fake_connect_silent(r, MONITOR);

                fake_say_text(h, texts[i], strlen(texts[i]));
                until(r, h->closed);
                assert_null(h->launch);
        }
        /* The real one is still welcome. */
        r->play[KIND_VM] = play_monitor;
        (void) fake_connect(r, MONITOR, NULL);
        until_state(r, "running");
}

/* Connections that say nothing are bounded in number and do not keep a helper out. */
static void test_silent_connections(void **state) {
        Rig *r = *state;

        for (unsigned i = 0; i < 100; i++) {
                (void) fake_connect_silent(r, "mcp-vm@mute.service");
                if (i % 10 == 9)
                        rig_settle(r);
        }
        rig_assert_alive(r);
}

/* ---- The end without words ---- */

static void test_lost(void **state) {
        Rig *r = *state;
        FakeHelper *h = ready_web(r);

        trace_clear(r);
        fake_close(h);
        until_state(r, "failed");
        assert_property(r, WEB, VM, "ExitReason", "lost");
        assert_property(r, WEB, VM, "MainPID", "0");
        assert_int_equal(unit_runs(r, PASST), 0);
        assert_startable(r);
}

/* The record tells what the connection could not. */
static void test_record_tells(void **state) {
        Rig *r = *state;
        FakeHelper *h = ready_web(r);

        trace_clear(r);
        rig_write(r, "state/vms/web/exit", "{\"boot\":1,\"reason\":\"guest-exit\",\"code\":3,\"at\":1700000002000000}");
        fake_close(h);
        until_state(r, "stopped");
        assert_property(r, WEB, VM, "ExitReason", "guest-exit");
        assert_property(r, WEB, VM, "ExitCode", "3");
        assert_property(r, WEB, VM, "ExitedAt", "1700000002000000");
}

static void test_record_of_another_boot(void **state) {
        static const char *const records[] = {"{\"boot\":7,\"reason\":\"guest-exit\",\"code\":3,\"at\":1}", "{\"boot\":1,\"reason\":\"flew\",\"code\":3,\"at\":1}",
                "{\"boot\":1", "", "[1]", "{\"boot\":1,\"reason\":7,\"code\":\"x\",\"at\":1}"};
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(records); i++) {
                FakeHelper *h = i == 0 ? ready_web(r) : fake_find(r, MONITOR);
                g_autofree char *text = g_strdup(records[i]);

                trace_clear(r);
                if (i > 0 && text[0] == '{' && text[8] == '1')
                        text[8] = (char) ('1' + i); /* this boot's number */
                rig_write(r, "state/vms/web/exit", text);
                fake_close(h);
                until_state(r, "failed");
                assert_property(r, WEB, VM, "ExitReason", "lost");
                assert_startable(r);
        }
}

/* Whatever time it tells: the next daemon can read what this one has written of it. */
static void test_record_of_any_time(void **state) {
        static const char *const times[] = {"-5", "-9223372036854775808", "253402300800000000", "9223372036854775807"};
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
                FakeHelper *h = i == 0 ? ready_web(r) : fake_find(r, MONITOR);
                g_autofree char *text = g_strdup_printf("{\"boot\":%zu,\"reason\":\"guest-exit\",\"code\":3,\"at\":%s}", i + 1, times[i]);

                trace_clear(r);
                rig_write(r, "state/vms/web/exit", text);
                fake_close(h);
                until_state(r, "stopped");
                restart(r, SIGTERM);
                assert_property(r, WEB, VM, "State", "stopped");
                assert_property(r, WEB, VM, "ExitCode", "3");
                assert_startable(r);
        }
}

/* While it starts: the start's job fails with the reason. */
static void test_lost_while_starting(void **state) {
        Rig *r = *state;
        FakeHelper *h = launch_web(r);

        fake_close(h);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 failed " ERROR("GuestNotResponding")));
        until_state(r, "failed");
        assert_startable(r);
}

/* ---- Requests ---- */

static const char *said;

static void say_error(FakeHelper *h, json_t *message) {
        if (json_object_get(message, "id"))
                fake_say(h, json_pack("{s:s, s:O, s:s}", "type", "reply", "id", json_object_get(message, "id"), "error", said));
}

/* Each error that the monitor gives reaches the caller, and no other name does. */
static void test_request_errors(void **state) {
        static const char *const names[] = {"Busy", "GuestNotResponding", "InvalidSpec", "LimitExceeded", "NotSupported", "VMNotRunning"};
        Rig *r = *state;
        g_autoptr(sd_bus_message) unknown = NULL;

        (void) ready_web(r);
        r->play[KIND_VM] = say_error;
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                g_autofree char *expected = g_strconcat(ERROR(""), names[i], NULL);
                g_autoptr(sd_bus_message) reply = NULL;

                said = names[i];
                reply = rig_call(r, WEB, VM, "Pause", NULL);
                assert_error(reply, expected);
        }
        said = "Evil.Name\n";
        unknown = rig_call(r, WEB, VM, "Pause", NULL);
        assert_error(unknown, ERROR("GuestNotResponding"));
}

/* Requests that are never answered are bounded, and all answered at the end. */
static void test_unanswered_requests(void **state) {
        Rig *r = *state;
        FakeHelper *h = ready_web(r);
        GPtrArray *pending = g_ptr_array_new_with_free_func((GDestroyNotify) pending_free);
        unsigned busy = 0, ended = 0;

        r->play[KIND_VM] = play_nothing;
        for (unsigned i = 0; i < 80; i++) {
                g_ptr_array_add(pending, rig_send(r, r->caller, WEB, VM, "Kill", "s", "USR1"));
                if (i % 4 == 3) { /* eight questions to polkit at once are all a user may have */
                        until(r, r->questions->len > i && fake_polkit_open(r) == 0);
                        rig_settle(r);
                }
        }
        rig_settle(r);
        fake_close(h);
        for (guint i = 0; i < pending->len; i++) {
                Pending *p = pending->pdata[i];

                until(r, p->reply);
                busy += strcmp(reply_error(p->reply), ERROR("Busy")) == 0;
                ended += strcmp(reply_error(p->reply), ERROR("VMNotRunning")) == 0;
        }
        assert_int_equal(busy + ended, 80);
        assert_int_equal(ended, 64);
        g_ptr_array_unref(pending);
}

static void run_named(Rig *r, const char *name) {
        g_autofree char *ready = g_strdup_printf("changed /vm/%s Ready=true", name);
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", name, 3, "Image", "s",
                REFERENCE, "Accelerator", "s", "tcg", "Network", "s", "none");

        assert_good(reply);
        until(r, trace_has(r, ready));
        rig_settle(r);
}

/* Monitors that hear nothing. Who wants the end of their VMs gets it, the unit is killed for it: that was us, nobody is lost. Who
 * wants something else gets an error in time, and the next one an answer. */
static void test_deaf(void **state) {
        static const char *const ended[] = {"killed", "stopped"};
        Rig *r = *state;
        g_autoptr(sd_bus_message) stop = NULL, again = NULL;
        g_autoptr(Pending) pause = NULL, kill = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(ended); i++)
                run_named(r, ended[i]);
        run_named(r, "web");
        r->play[KIND_VM] = play_nothing;
        pause = rig_send(r, r->caller, WEB, VM, "Pause", NULL);
        stop = rig_call(r, ROOT "/vm/stopped", VM, "Stop", "ta{sv}", (uint64_t) 0, 0);
        assert_good(stop);
        kill = rig_send(r, r->caller, ROOT "/vm/killed", VM, "Kill", "s", "KILL");
        for (size_t i = 0; i < G_N_ELEMENTS(ended); i++) {
                g_autofree char *unit = g_strdup_printf("mcp-vm@%s.service", ended[i]);
                g_autofree char *end = g_strdup_printf("changed /vm/%s ExitReason=killed", ended[i]);

                until(r, unit_runs(r, unit) == 0);
                fake_close(fake_find(r, unit));
                until(r, trace_has(r, end));
                rig_settle(r);
        }
        assert_property(r, ROOT "/vm/stopped", VM, "State", "stopped");
        assert_property(r, ROOT "/vm/stopped", VM, "ExitCode", "137");
        assert_good(kill->reply);
        until(r, pause->reply);
        assert_error(pause->reply, ERROR("GuestNotResponding"));
        r->play[KIND_VM] = play_monitor;
        again = rig_call(r, WEB, VM, "Pause", NULL);
        assert_good(again);
}

/* ---- The order of an end ---- */

static uint64_t vm_told, manager_told;

static int on_vm_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return vm_told > 0 ? 0 : sd_bus_message_get_cookie(m, &vm_told);
}

static int on_manager_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return manager_told > 0 ? 0 : sd_bus_message_get_cookie(m, &manager_told);
}

/* Subscribers hear of an end before systemd is asked to do anything about it, and of the VM before the sum of all. */
static void test_end_is_told_first(void **state) {
        static const char properties[] = "org.freedesktop.DBus.Properties", changed[] = "PropertiesChanged";
        Rig *r = *state;
        FakeHelper *h = ready_web(r);

        assert_true(sd_bus_match_signal(r->caller, NULL, NULL, WEB, properties, changed, on_vm_changed, NULL) >= 0);
        assert_true(sd_bus_match_signal(r->caller, NULL, NULL, ROOT, properties, changed, on_manager_changed, NULL) >= 0);
        rig_settle(r);
        vm_told = manager_told = r->first_stop = 0;
        fake_exited(h, "guest-exit", 0);
        until(r, vm_told > 0 && manager_told > 0 && r->first_stop > 0);
        assert_true(vm_told < manager_told);
        assert_true(manager_told < r->first_stop);
        until(r, unit_runs(r, MONITOR) == 0 && unit_runs(r, PASST) == 0);
}

/* ---- What is known of a unit ---- */

static void start_web(Rig *r, unsigned job) {
        g_autofree char *done = g_strdup_printf("JobRemoved %u " ROOT "/job/%u done", job, job);
        g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, "Start", "a{sv}", 0);

        assert_good(reply);
        until(r, trace_has(r, done));
        rig_settle(r);
}

static void end_web(Rig *r) {
        trace_clear(r);
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        until(r, trace_has(r, "changed /vm/web State=stopped"));
        rig_settle(r);
}

/* systemd is asked about a unit that may still have a process of its last run, and about no other. */
static void test_known_units(void **state) {
        Rig *r = *state;

        r->lists = true;
        rig_start_daemon(r);
        rig_settle(r);
        r->listings = 0; /* what began before all units were listed */
        (void) ready_web(r);
        assert_null(strstr(r->units->str, "-mcp-vm@web"));
        end_web(r);
        start_web(r, 2);
        assert_int_equal(r->listings, 0);

        r->slow_stop = 777; /* its end is not over */
        end_web(r);
        (void) g_string_set_size(r->units, 0);
        g_string_append(r->units, "+" MONITOR " -" MONITOR " +" PASST " -" PASST " ");
        {
                g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, "Start", "a{sv}", 0);

                assert_good(reply);
                rig_settle(r);
        }
        assert_true(r->listings > 0);
        assert_int_equal(unit_runs(r, MONITOR), 0);
        fake_stop_ends(r, MONITOR);
        until(r, unit_runs(r, MONITOR) == 1);
}

/* One that shows itself is asked about, whoever started it. */
static void test_stranger_is_known(void **state) {
        Rig *r = *state;
        FakeHelper *h;

        r->lists = true;
        rig_start_daemon(r);
        (void) ready_web(r);
        end_web(r);
        h = fake_connect(r, MONITOR, json_pack("{s:s, s:i, s:i}", "type", "hello", "version", LAUNCH_WIRE_VERSION, "boot", 7));
        until(r, h->closed);
        r->listings = 0;
        start_web(r, 2);
        assert_int_equal(r->listings, 1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_garbage, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_huge_message, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_guest_text, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_unknown_words, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_ends, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_exited_nonsense, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_flood, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_second_connection, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_strangers, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_bad_hello, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_silent_connections, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_lost, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_record_tells, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_record_of_another_boot, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_record_of_any_time, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_lost_while_starting, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_end_is_told_first, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_known_units, rig_setup_without_daemon, rig_teardown),
                cmocka_unit_test_setup_teardown(test_stranger_is_known, rig_setup_without_daemon, rig_teardown),
                cmocka_unit_test_setup_teardown(test_request_errors, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_unanswered_requests, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_deaf, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
