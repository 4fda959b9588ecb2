/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Boots by policy: what stands in their way, a daemon that ends before they are due, a host that is started anew, and who
 * does not want them any more. */
#include "web.h"

#include <unistd.h>

static void run(Rig *r, const char *policy, int ephemeral) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 4, "Image", "s", REFERENCE,
                "Accelerator", "s", "tcg", "Restart", "s", policy, "Ephemeral", "b", ephemeral);

        assert_good(reply);
}

static void run_ready(Rig *r, const char *policy, int ephemeral) {
        run(r, policy, ephemeral);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        rig_settle(r);
        trace_clear(r);
}

/* Its boot lasted as long as that; the host's clock was set by a year meanwhile. */
static void crash(Rig *r, uint64_t seconds) {
        fake_say(fake_find(r, MONITOR), json_pack("{s:s, s:s, s:i, s:I, s:I}", "type", "exited", "reason", "crashed", "code", 1, "at",
                                                (json_int_t) 1731536000000000, "ran", (json_int_t) (seconds * G_USEC_PER_SEC)));
        until(r, trace_has(r, "changed /vm/web State=failed"));
}

/* As each guest whose program has ended: QEMU shuts down, then it is gone. */
static void test_guest_that_goes_down(void **state) {
        Rig *r = *state;
        FakeHelper *h;

        run_ready(r, "on-failure:1", 0);
        for (unsigned boot = 1; boot <= 2; boot++) {
                h = fake_find(r, MONITOR);
                trace_clear(r);
                fake_say(h, json_pack("{s:s, s:s, s:b}", "type", "state", "state", "stopping", "asked", 0));
                fake_exited(h, "guest-exit", 3);
                until(r, trace_has(r, boot == 1 ? "changed /vm/web Ready=true" : "changed /vm/web State=stopped"));
        }
        rig_idle(r, G_USEC_PER_SEC / 2);
        assert_property(r, WEB, VM, "State", "stopped"); /* once, it says */
        assert_property(r, WEB, VM, "RestartCount", "1");
        assert_property(r, WEB, VM, "BootId", "2");
}

/* What the policy promised another daemon keeps. */
static void test_daemon_ends_before_it_is_due(void **state) {
        Rig *r = *state;

        run_ready(r, "always", 0);
        crash(r, 1);
        rig_stop_daemon(r, SIGTERM);
        trace_clear(r);
        rig_start_daemon(r);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        assert_property(r, WEB, VM, "State", "running");
        assert_property(r, WEB, VM, "RestartCount", "1");
        rig_settle(r);
        rig_stop_daemon(r, SIGTERM); /* once: a VM that was stopped since then stays so */
        g_autofree char *record = rig_read(r, "state/vms/web/meta.json");
        assert_null(strstr(record, "restart_at"));
        rig_start_daemon(r);
}

/* The text of state/vms/web/meta.json with `before` replaced. */
static void edit_record(Rig *r, const char *before, const char *after) {
        g_autofree char *text = rig_read(r, "state/vms/web/meta.json"), *edited = NULL;
        g_auto(GStrv) parts = g_strsplit(text, before, -1);

        assert_int_equal(g_strv_length(parts), 2);
        edited = g_strjoinv(after, parts);
        rig_write(r, "state/vms/web/meta.json", edited);
}

/* What is left of the time is kept, too. */
static void test_remaining_time(void **state) {
        Rig *r = *state;
        g_autoptr(GDateTime) due = NULL;
        g_autofree char *member = NULL;

        run_ready(r, "always", 0);
        crash(r, 1);
        {
                g_autoptr(sd_bus_message) stop = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0);

                assert_good(stop);
        }
        until(r, trace_has(r, "JobRemoved 2 "));
        rig_settle(r);
        rig_stop_daemon(r, SIGTERM);
        due = g_date_time_new_from_unix_utc(g_get_real_time() / G_USEC_PER_SEC + 4);
        member = g_date_time_format(due, "\"restart_at\":\"%Y-%m-%dT%H:%M:%SZ\",\"wanted\":true,\"version\"");
        edit_record(r, "\"version\"", member);
        trace_clear(r);
        rig_start_daemon(r);
        rig_idle(r, 3 * G_USEC_PER_SEC / 2);
        assert_false(trace_has(r, "changed /vm/web State=preparing"));
        until(r, trace_has(r, "changed /vm/web Ready=true"));
}

/* Its last boot was a long and good one: the delays double all the same while none begins. */
static void test_delay_of_what_cannot_begin(void **state) {
        Rig *r = *state;
        unsigned n;

        run_ready(r, "always", 0);
        r->start[KIND_VM] = START_REFUSED;
        crash(r, 3600);
        rig_idle(r, 2 * G_USEC_PER_SEC);
        n = trace_count(r, "changed /vm/web State=preparing");
        assert_in_range(n, 1, 5);
        r->start[KIND_VM] = START_OK;
        until(r, trace_has(r, "changed /vm/web Ready=true"));
}

static int64_t row(Rig *r) {
        g_autofree char *text = rig_read(r, "state/vms/web/meta.json");
        json_t *record = json_loads(text, 0, NULL);
        int64_t n = json_integer_value(json_object_get(record, "restart_row"));

        assert_non_null(record);
        json_decref(record);
        return n;
}

/* Ten good minutes end a row of restarts, by the time that the VM has run. */
static void test_good_minutes(void **state) {
        static const unsigned ran[] = {1, 1, 599, 600, 1}, rows[] = {1, 2, 3, 1, 2};
        Rig *r = *state;

        run_ready(r, "always", 0);
        for (size_t i = 0; i < G_N_ELEMENTS(ran); i++) {
                trace_clear(r);
                crash(r, ran[i]);
                until(r, row(r) == rows[i]);
                until(r, trace_has(r, "changed /vm/web Ready=true"));
        }
}

/* A guest that does not come up in time is ended by us, and that is a failure: nobody wanted it down. */
static void test_boot_out_of_time(void **state) {
        Rig *r = *state;
        FakeHelper *h;

        rig_stop_daemon(r, SIGTERM);
        rig_write(r, "runtime.conf.d/boot.conf", "[Runtime]\nBootTimeoutSec=2\n");
        rig_start_daemon(r);
        r->play[KIND_VM] = play_nothing;
        run(r, "on-failure", 0);
        until(r, (h = fake_find(r, MONITOR)) && fake_heard(h, "launch"));
        until(r, fake_heard(h, "stop"));
        fake_say(h, json_pack("{s:s, s:s, s:b}", "type", "state", "state", "stopping", "asked", 1));
        r->play[KIND_VM] = play_monitor;
        fake_say(h, json_pack("{s:s, s:s, s:i, s:I, s:b}", "type", "exited", "reason", "killed", "code", 137, "at",
                            (json_int_t) 1700000001000000, "asked", 1));
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        assert_property(r, WEB, VM, "RestartCount", "1");
}

/* ---- Ephemeral ones ---- */

static void assert_gone(Rig *r) {
        until(r, trace_has(r, "VMRemoved web"));
        assert_false(rig_has(r, "state/vms/web"));
}

static void test_ephemeral_stopped_before_it_is_due(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) stop = NULL;

        run_ready(r, "always", 1);
        crash(r, 1);
        stop = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0);
        assert_good(stop);
        assert_gone(r);
}

static void test_ephemeral_that_cannot_start(void **state) {
        Rig *r = *state;

        r->start[KIND_VM] = START_REFUSED;
        run(r, "no", 1);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 failed"));
        assert_gone(r);
        trace_clear(r);
        r->start[KIND_VM] = START_OK;
        run(r, "no", 0);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
}

static void test_ephemeral_canceled(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) cancel = NULL;

        r->start[KIND_VM] = START_HANGS;
        run(r, "no", 1);
        cancel = rig_call(r, ROOT "/job/1", JOB, "Cancel", NULL);
        assert_good(cancel);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 canceled"));
        assert_gone(r);
}

/* ---- The host ---- */

static void reboot_host(Rig *r) {
        rig_stop_daemon(r, SIGKILL);
        for (guint i = 0; i < r->helpers->len; i++)
                fake_close(r->helpers->pdata[i]);
        r->host_boot[strlen(r->host_boot) - 1]++;
        trace_clear(r);
        rig_start_daemon(r);
}

/* What is not there yet, so early, is there a moment later. */
static void test_start_with_host_is_tried_again(void **state) {
        Rig *r = *state;

        run_ready(r, "unless-stopped", 0);
        r->start[KIND_VM] = START_REFUSED;
        reboot_host(r);
        until(r, trace_has(r, "changed /vm/web State=failed"));
        r->start[KIND_VM] = START_OK;
        until(r, trace_has(r, "changed /vm/web Ready=true"));
}

/* A daemon that dies over it has not been the only one to start it. */
static void test_start_with_host_outlives_daemon(void **state) {
        Rig *r = *state;

        run_ready(r, "unless-stopped", 0);
        r->start[KIND_VM] = START_HANGS;
        reboot_host(r);
        until(r, trace_has(r, "changed /vm/web State=preparing"));
        r->start[KIND_VM] = START_OK;
        restart(r, SIGKILL);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        /* That the host was restarted was over before anybody was told: such a reason is rather told twice (is_news()). */
        assert_true(r->unchanged->len == 0 || strcmp(r->unchanged->str, "/vm/web StateReason= ") == 0);
        (void) g_string_truncate(r->unchanged, 0);
}

/* Kill with KILL is a request as Stop is. */
static void test_killed_stays_down(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) kill = NULL;

        run_ready(r, "unless-stopped", 0);
        kill = rig_call(r, WEB, VM, "Kill", "s", "KILL");
        assert_good(kill);
        until(r, trace_has(r, "changed /vm/web ExitReason=killed"));
        rig_settle(r);
        reboot_host(r);
        rig_idle(r, G_USEC_PER_SEC / 2);
        assert_property(r, WEB, VM, "State", "stopped");
}

/* ---- Another policy ---- */

static void test_update_before_it_is_due(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) memory = NULL, policy = NULL;

        run_ready(r, "always", 0);
        r->start[KIND_VM] = START_REFUSED;
        crash(r, 1);
        until(r, trace_count(r, "changed /vm/web State=failed") >= 4); /* the next one is due in 800 ms */
        memory = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "MemoryMiB", "u", 300);
        assert_good(memory);
        policy = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "Restart", "s", "no");
        assert_good(policy);
        trace_clear(r);
        rig_idle(r, 2 * G_USEC_PER_SEC);
        assert_false(trace_has(r, "changed /vm/web State=preparing"));
        r->start[KIND_VM] = START_OK;
        assert_startable(r);
        assert_property(r, WEB, VM, "MemoryMiB", "300");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_guest_that_goes_down, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_daemon_ends_before_it_is_due, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_remaining_time, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_delay_of_what_cannot_begin, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_good_minutes, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_boot_out_of_time, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_ephemeral_stopped_before_it_is_due, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_ephemeral_that_cannot_start, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_ephemeral_canceled, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_start_with_host_is_tried_again, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_start_with_host_outlives_daemon, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_killed_stays_down, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_update_before_it_is_due, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
