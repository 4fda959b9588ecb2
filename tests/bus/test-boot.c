/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a VM from the call to its end, with helpers that play their parts. */
#include "web.h"

static void assert_before(Rig *r, const char *first, const char *second) {
        int a = trace_find(r, first, 0), b = trace_find(r, second, 0);

        if (a < 0 || b < 0 || a > b) {
                trace_dump(r);
                fail_msg("'%s' (%d) should come before '%s' (%d)", first, a, second, b);
        }
}

/* The whole way: reply, then signals; states in order; the job's end last. */
static void test_run(void **state) {
        static const char *const order[] = {"reply RunVM", "added /vm/web", "VMNew web", "added /job/1", "JobNew 1 ",
                "changed /vm/web State=starting", "changed /vm/web State=running",
                "changed /vm/web Ready=true", "JobRemoved 1 " ROOT "/job/1 done "};
        Rig *r = *state;

        run_web(r);
        until(r, trace_has(r, "JobRemoved 1 "));
        rig_settle(r);
        for (size_t i = 0; i + 1 < G_N_ELEMENTS(order); i++)
                assert_before(r, order[i], order[i + 1]);
        assert_before(r, "changed /job/1 State=done", "JobRemoved 1 ");
        assert_property(r, WEB, VM, "State", "running");
        assert_property(r, WEB, VM, "Ready", "true");
        assert_property(r, WEB, VM, "MainPID", "4242");
        assert_property(r, WEB, VM, "StartedAt", "1700000000000000");
        assert_property(r, WEB, VM, "BootId", "1");
        assert_property(r, WEB, VM, "Accelerator", "tcg");
        assert_property(r, WEB, VM, "Unit", MONITOR);
        assert_property(r, WEB, VM, "JobPath", "/");
        assert_property(r, ROOT, MANAGER, "RunningCount", "1");
        assert_property(r, ROOT "/job/1", JOB, "State", "done");
        assert_property(r, ROOT "/job/1", JOB, "Progress", "1.000");
        assert_property(r, ROOT "/job/1", JOB, "Subject", WEB);
        assert_property(r, ROOT, MANAGER, "JobCount", "0");
        assert_int_equal(unit_runs(r, MONITOR), 1);
        assert_int_equal(unit_runs(r, PASST), 1);
        until(r, rig_count_temporaries(r) == 0);
}

/* What the monitor is given: argv that names its descriptors, logs, exit record, and nothing that blocks. */
static void test_launch_message(void **state) {
        static const char *const names[] = {"log0", "log1", "log2", "exit", "qemu"};
        Rig *r = *state;
        FakeHelper *h;

        r->play[KIND_VM] = play_nothing;
        run_web(r);
        until(r, fake_heard(fake_find(r, MONITOR), "launch"));
        h = fake_find(r, MONITOR);
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                assert_true(fake_fd(h, names[i]) >= 0);
        assert_int_equal(json_integer_value(json_object_get(h->launch, "boot")), 1);
        assert_true(json_array_size(json_object_get(h->launch, "argv")) > 20);
        assert_string_equal(json_string_value(json_array_get(json_object_get(h->launch, "argv"), 0)), "/bin/false");
        assert_true(json_is_integer(json_object_get(h->launch, "stop_timeout")));
        assert_property(r, WEB, VM, "State", "starting");
        assert_property(r, WEB, VM, "Ready", "false");
        assert_property(r, ROOT "/job/1", JOB, "State", "running");
        assert_property(r, WEB, VM, "JobPath", ROOT "/job/1");
}

/* What is on disk survives: a starting VM is recorded before its unit runs. */
static void test_record(void **state) {
        static const char *const words[] = {"\"name\": \"web\"", "\"state\": \"starting\"", "\"boot_id\": 1", HEX};
        Rig *r = *state;
        g_autofree char *record = NULL, *after = NULL;

        r->play[KIND_VM] = play_nothing;
        run_web(r);
        until(r, fake_heard(fake_find(r, MONITOR), "launch"));
        record = rig_read(r, "state/vms/web/meta.json");
        assert_non_null(record);
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
                if (!strstr(record, words[i]))
                        fail_msg("the record lacks %s: %s", words[i], record);
        play_monitor(fake_find(r, MONITOR), fake_heard(fake_find(r, MONITOR), "launch"));
        until(r, trace_has(r, "JobRemoved 1 "));
        after = rig_read(r, "state/vms/web/meta.json");
        assert_non_null(strstr(after, "\"state\": \"running\""));
        assert_null(strstr(after, "4242")); /* never a pid */
}

static void stop_web(Rig *r, uint64_t timeout) {
        g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, "Stop", "ta{sv}", timeout, 0);

        assert_good(reply);
}

static void test_stop_start_remove(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) again = NULL, removed = NULL, gone = NULL;

        run_web(r);
        until(r, trace_has(r, "JobRemoved 1 "));
        stop_web(r, 5000000);
        until(r, trace_has(r, "JobRemoved 2 " ROOT "/job/2 done"));
        assert_before(r, "changed /vm/web State=stopped", "JobRemoved 2 ");
        assert_property(r, WEB, VM, "State", "stopped");
        assert_property(r, WEB, VM, "ExitReason", "powered-off");
        assert_property(r, WEB, VM, "ExitedAt", "1700000001000000");
        assert_property(r, WEB, VM, "MainPID", "0");
        assert_property(r, WEB, VM, "Ready", "false");
        assert_property(r, ROOT, MANAGER, "RunningCount", "0");
        rig_settle(r);
        assert_int_equal(unit_runs(r, PASST), 0);

        again = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(again);
        until(r, trace_has(r, "JobRemoved 3 " ROOT "/job/3 done"));
        assert_property(r, WEB, VM, "BootId", "2");
        assert_property(r, WEB, VM, "ExitReason", "");

        removed = rig_call(r, WEB, VM, "Remove", "a{sv}", 0);
        assert_good(removed);
        until(r, trace_has(r, "JobRemoved 4 " ROOT "/job/4 done"));
        until(r, trace_has(r, "VMRemoved web"));
        rig_settle(r);
        assert_false(rig_has(r, "state/vms/web"));
        until(r, rig_count_temporaries(r) == 0);
        gone = rig_call(r, WEB, VM, "GetSpec", NULL);
        assert_error(gone, SD_BUS_ERROR_UNKNOWN_OBJECT);
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
}

/* The guest's own end: no job, the state tells. */
static void test_guest_exit(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) wait = NULL;
        const char *reached;

        run_web(r);
        until(r, trace_has(r, "JobRemoved 1 "));
        wait = rig_send(r, r->caller, WEB, VM, "Wait", "s", "stopped");
        rig_settle(r);
        assert_null(wait->reply);
        fake_exited(fake_find(r, MONITOR), "guest-exit", 7);
        until(r, wait->reply);
        assert_good(wait->reply);
        assert_true(sd_bus_message_read(wait->reply, "s", &reached) > 0);
        assert_string_equal(reached, "stopped");
        assert_property(r, WEB, VM, "ExitReason", "guest-exit");
        assert_property(r, WEB, VM, "ExitCode", "7");
}

/* Stop while it starts: the start is canceled, the stop is done, in that order. */
static void test_stop_while_starting(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) start = NULL, stop = NULL;
        FakeHelper *h;

        r->play[KIND_VM] = play_nothing;
        run_web(r);
        until(r, fake_heard(fake_find(r, MONITOR), "launch"));
        h = fake_find(r, MONITOR);
        fake_running(h);
        stop_web(r, 1000000);
        until(r, fake_heard(h, "stop"));
        start = wait_job(r, 1);
        assert_end(start, "canceled", ERROR("Canceled"), "");
        fake_say(h, json_pack("{s:s}", "type", "ready")); /* too late: the stop is not over by that */
        rig_settle(r);
        assert_property(r, ROOT "/job/2", JOB, "State", "running");
        fake_exited(h, "powered-off", 0);
        stop = wait_job(r, 2);
        assert_end(stop, "done", "", "");
        assert_property(r, WEB, VM, "State", "stopped");
}

static void test_remove_while_starting(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL, remove = NULL;
        FakeHelper *h;

        r->play[KIND_VM] = play_nothing;
        run_web(r);
        until(r, fake_heard(fake_find(r, MONITOR), "launch"));
        h = fake_find(r, MONITOR);
        fake_running(h);
        rig_settle(r);
        reply = rig_call(r, WEB, VM, "Remove", "a{sv}", 0);
        assert_good(reply);
        until(r, fake_heard(h, "stop"));
        fake_exited(h, "powered-off", 0);
        remove = wait_job(r, 2);
        assert_end(remove, "done", "", "");
        until(r, trace_has(r, "VMRemoved web"));
        assert_false(rig_has(r, "state/vms/web"));
}

static void test_pause_resume_kill(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) pause = NULL, resume = NULL, term = NULL;
        g_autoptr(Pending) kill = NULL;

        run_web(r);
        until(r, trace_has(r, "JobRemoved 1 "));
        pause = rig_call(r, WEB, VM, "Pause", NULL);
        assert_good(pause);
        assert_property(r, WEB, VM, "State", "paused");
        assert_property(r, ROOT, MANAGER, "RunningCount", "1");
        resume = rig_call(r, WEB, VM, "Resume", NULL);
        assert_good(resume);
        assert_property(r, WEB, VM, "State", "running");
        term = rig_call(r, WEB, VM, "Kill", "s", "TERM");
        assert_good(term);
        assert_string_equal(json_string_value(json_object_get(fake_heard(fake_find(r, MONITOR), "kill"), "signal")), "TERM");
        kill = rig_send(r, r->caller, WEB, VM, "Kill", "s", "KILL");
        until(r, kill->reply);
        assert_good(kill->reply);
        until(r, trace_has(r, "changed /vm/web State=stopped"));
        assert_property(r, WEB, VM, "ExitReason", "killed");
}

/* ---- Steps that fail ---- */

static void assert_fails(Rig *r, const char *error, const char *state_after) {
        g_autoptr(sd_bus_message) end = NULL;

        run_web(r);
        end = wait_job(r, 1);
        assert_end(end, "failed", error, "");
        rig_settle(r);
        assert_property(r, WEB, VM, "State", state_after);
        assert_property(r, WEB, VM, "JobPath", "/");
        until(r, rig_count_temporaries(r) == 0);
        assert_int_equal(unit_runs(r, PASST), 0);
}

/* Whatever went wrong, the next start with good helpers works. */
static void assert_good_start(Rig *r) {
        g_autoptr(sd_bus_message) reply = NULL, end = NULL;
        uint32_t id;

        for (int k = 0; k < KIND_MAX; k++)
                r->start[k] = START_OK;
        r->play[KIND_VM] = play_monitor;
        r->play[KIND_WORKER] = play_worker;
        r->play[KIND_PASST] = play_passt;
        reply = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(reply);
        assert_true(sd_bus_message_read(reply, "u", &id) > 0);
        end = wait_job(r, id);
        assert_end(end, "done", "", "");
        assert_property(r, WEB, VM, "State", "running");
        assert_int_equal(unit_runs(r, MONITOR), 1);
        assert_int_equal(unit_runs(r, PASST), 1);
}

static void test_worker_not_started(void **state) {
        Rig *r = *state;

        r->start[KIND_WORKER] = START_FAILS;
        assert_fails(r, ERROR("BuildFailed"), "failed");
        assert_good_start(r);
}

static void test_worker_refused(void **state) {
        Rig *r = *state;

        r->start[KIND_WORKER] = START_REFUSED;
        assert_fails(r, ERROR("BuildFailed"), "failed");
        assert_good_start(r);
}

static void test_worker_hangs_up(void **state) {
        Rig *r = *state;

        r->play[KIND_WORKER] = play_hang_up;
        assert_fails(r, ERROR("BuildFailed"), "failed");
        assert_good_start(r);
}

static void test_worker_fails(void **state) {
        Rig *r = *state;

        r->play[KIND_WORKER] = play_fail;
        assert_fails(r, ERROR("NoSpace"), "failed");
        assert_good_start(r);
}

static void say_port_in_use(FakeHelper *h, json_t *message) {
        fake_say(h, json_pack("{s:s, s:s, s:s}", "type", "failed", "error", "PortInUse", "message", "Failed to bind port 8080"));
}

static void test_port_in_use(void **state) {
        Rig *r = *state;

        r->play[KIND_PASST] = say_port_in_use;
        assert_fails(r, ERROR("PortInUse"), "failed");
        assert_good_start(r);
}

static void test_passt_hangs_up(void **state) {
        Rig *r = *state;

        r->play[KIND_PASST] = play_hang_up;
        assert_fails(r, ERROR("BuildFailed"), "failed");
        assert_good_start(r);
}

static void test_monitor_not_started(void **state) {
        Rig *r = *state;

        r->start[KIND_VM] = START_FAILS;
        assert_fails(r, ERROR("GuestNotResponding"), "failed");
        assert_good_start(r);
}

static void test_monitor_refused(void **state) {
        Rig *r = *state;

        r->start[KIND_VM] = START_REFUSED;
        assert_fails(r, ERROR("GuestNotResponding"), "failed");
        assert_good_start(r);
}

static void test_early_job(void **state) {
        Rig *r = *state;

        for (int k = 0; k < KIND_MAX; k++)
                r->start[k] = START_EARLY;
        run_web(r);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
}

/* ---- Cancel at each step ---- */

/* An initrd serves every VM of its kernel: who cancels one start does not end its making. */
static void end_initrd(Rig *r, bool connected) {
        FakeHelper *h = fake_find(r, "mcp-image@1.service");

        r->play[KIND_WORKER] = play_worker;
        if (connected)
                play_worker(h, h->launch);
        else
                (void) fake_connect(r, "mcp-image@1.service", NULL);
        until(r, unit_runs(r, "mcp-image@1.service") == 0);
}

static void cancel_at(Rig *r, HelperKind kind, bool connected) {
        static const char *const units[KIND_MAX] = {
                [KIND_VM] = MONITOR, [KIND_WORKER] = "mcp-image@1.service", [KIND_PASST] = PASST};
        g_autoptr(sd_bus_message) cancel = NULL, twice = NULL;
        g_autoptr(Pending) wait = NULL;

        r->play[kind] = play_nothing;
        r->start[kind] = connected ? START_OK : START_SILENT;
        run_web(r);
        until(r, connected ? fake_heard(fake_find(r, units[kind]), "launch") != NULL : unit_runs(r, units[kind]) > 0);
        rig_settle(r);
        wait = rig_send(r, r->caller, ROOT "/job/1", JOB, "Wait", NULL);
        cancel = rig_call(r, ROOT "/job/1", JOB, "Cancel", NULL);
        assert_good(cancel);
        until(r, wait->reply);
        assert_end(wait->reply, "canceled", ERROR("Canceled"), "");
        twice = rig_call(r, ROOT "/job/1", JOB, "Cancel", NULL);
        assert_error(twice, ERROR("NotSupported"));
        rig_settle(r);
        if (kind == KIND_VM && connected) { /* QEMU may run: the monitor is told to end it, and says when it has */
                assert_property(r, WEB, VM, "State", "stopping");
                fake_say(fake_find(r, MONITOR), json_pack("{s:s, s:s, s:i, s:i, s:b}", "type", "exited", "reason",
                                                        "killed", "code", 137, "at", 1, "asked", 1));
                rig_settle(r);
        }
        assert_property(r, WEB, VM, "State", "stopped");
        assert_property(r, WEB, VM, "JobPath", "/");
        assert_int_equal(unit_runs(r, PASST), 0);
        assert_int_equal(unit_runs(r, MONITOR), 0);
        if (kind == KIND_WORKER)
                end_initrd(r, connected);
        assert_good_start(r);
        until(r, rig_count_temporaries(r) == 0);
}

/* The unit of the last boot is slow to go, and a start wants it gone: systemd has one job for both, and both hear its end. */
static void test_stops_are_merged(void **state) {
        g_autoptr(sd_bus_message) start = NULL;
        Rig *r = *state;

        run_web(r);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        r->slow_stop = 4000;
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        rig_settle(r);
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        rig_settle(r);
        fake_stop_ends(r, MONITOR);
        until(r, trace_has(r, "JobRemoved 2 " ROOT "/job/2 done"));
}

/* systemctl start of its unit while the VM is prepared: that monitor waits for its orders, and systemd is not asked for another one. */
static void test_unit_started_early(void **state) {
        Rig *r = *state;
        FakeHelper *monitor, *worker;

        r->play[KIND_WORKER] = play_nothing;
        run_web(r);
        until(r, fake_heard(fake_find(r, "mcp-image@1.service"), "launch"));
        monitor = fake_connect(r, MONITOR, NULL);
        rig_settle(r);
        assert_false(monitor->closed);
        assert_null(monitor->launch);
        assert_property(r, WEB, VM, "State", "preparing");
        r->play[KIND_WORKER] = play_worker;
        worker = fake_find(r, "mcp-image@1.service");
        play_worker(worker, worker->launch);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_non_null(monitor->launch);
        assert_null(strstr(r->units->str, "+" MONITOR));
}

/* The same, and the start is canceled before it needed it: nothing waits for orders that do not come. */
static void test_unit_started_early_canceled(void **state) {
        g_autoptr(sd_bus_message) cancel = NULL;
        Rig *r = *state;
        FakeHelper *monitor;

        r->play[KIND_WORKER] = play_nothing;
        run_web(r);
        until(r, fake_heard(fake_find(r, "mcp-image@1.service"), "launch"));
        monitor = fake_connect(r, MONITOR, NULL);
        rig_settle(r);
        assert_false(monitor->closed);
        cancel = rig_call(r, ROOT "/job/1", JOB, "Cancel", NULL);
        assert_good(cancel);
        until(r, monitor->closed);
        assert_null(monitor->launch);
        end_initrd(r, true);
        assert_good_start(r);
}

static void test_cancel_worker(void **state) {
        cancel_at(*state, KIND_WORKER, true);
}

static void test_cancel_worker_unconnected(void **state) {
        cancel_at(*state, KIND_WORKER, false);
}

static void test_cancel_passt(void **state) {
        cancel_at(*state, KIND_PASST, true);
}

static void test_cancel_passt_unconnected(void **state) {
        cancel_at(*state, KIND_PASST, false);
}

static void test_cancel_monitor(void **state) {
        cancel_at(*state, KIND_VM, true);
}

static void test_cancel_monitor_unconnected(void **state) {
        cancel_at(*state, KIND_VM, false);
}

/* ---- Without network, and gone after its end ---- */

static void test_ephemeral_without_network(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 4, "Image", "s", REFERENCE,
                "Accelerator", "s", "tcg", "Network", "s", "none", "Ephemeral", "b", 1);

        assert_good(reply);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_null(strstr(r->units->str, PASST));
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        until(r, trace_has(r, "VMRemoved web"));
        assert_false(rig_has(r, "state/vms/web"));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_run, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_launch_message, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_record, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_stop_start_remove, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_guest_exit, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_stop_while_starting, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_remove_while_starting, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_pause_resume_kill, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_worker_not_started, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_worker_refused, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_worker_hangs_up, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_worker_fails, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_port_in_use, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_passt_hangs_up, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_monitor_not_started, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_monitor_refused, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_early_job, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_stops_are_merged, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_unit_started_early, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_unit_started_early_canceled, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_cancel_worker, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_cancel_worker_unconnected, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_cancel_passt, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_cancel_passt_unconnected, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_cancel_monitor, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_cancel_monitor_unconnected, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_ephemeral_without_network, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
