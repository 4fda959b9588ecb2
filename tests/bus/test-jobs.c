/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs across the death of the daemon: what had ended is known, what was under way has failed. */
#include "web.h"

static void test_under_way(void **state) {
        static const int signals[] = {SIGKILL, SIGTERM};
        Rig *r = *state;

        r->play[KIND_VM] = play_nothing;
        for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
                g_autofree char *path = g_strdup_printf(ROOT "/job/%zu", 2 * i + 1), *signal = NULL,
                                *progress = g_strdup_printf("changed /job/%zu Progress=0", 2 * i + 1);
                g_autoptr(sd_bus_message) removed = NULL;

                run_web(r);
                until(r, fake_heard(fake_find(r, "mcp-vm@web.service"), "launch"));
                restart(r, signals[i]);
                signal = g_strdup_printf("JobRemoved %zu %s failed " ERROR("Interrupted"), 2 * i + 1, path);
                until(r, trace_has(r, signal));
                assert_job(r, 2 * i + 1, "failed", ERROR("Interrupted"), "");
                assert_property(r, path, JOB, "Kind", "start");
                assert_property(r, path, JOB, "Subject", WEB);
                assert_property(r, path, JOB, "State", "failed");
                assert_property(r, path, JOB, "ErrorName", ERROR("Interrupted"));
                assert_property(r, path, JOB, "Progress", "0.000");
                assert_true(trace_has(r, progress)); /* what was told before is over */
                assert_property(r, WEB, VM, "JobPath", "/");
                removed = rig_call(r, WEB, VM, "Remove", "a{sv}", 0); /* numbers go on */
                assert_good(removed);
                rig_settle(r);
                until(r, !rig_has(r, "state/vms/web"));
                rig_settle(r);
        }
}

static void test_ended(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) start = NULL;
        g_autofree char *reached = NULL;

        run_web(r);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        fake_exited(fake_find(r, "mcp-vm@web.service"), "guest-exit", 0);
        until(r, trace_has(r, "changed /vm/web State=stopped"));
        r->start[KIND_VM] = START_FAILS;
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 2 " ROOT "/job/2 failed"));
        reached = rig_get(r, ROOT "/job/2", JOB, "Progress");
        for (unsigned i = 0; i < 2; i++) {
                g_autoptr(sd_bus_message) wait = rig_call(r, ROOT "/job/2", JOB, "Wait", NULL);
                g_autofree char *error = rig_get(r, ROOT "/job/2", JOB, "ErrorName");

                assert_good(wait);
                assert_job(r, 1, "done", "", "");
                assert_job(r, 2, "failed", error, "");
                assert_property(r, ROOT "/job/1", JOB, "Progress", "1.000");
                assert_property(r, ROOT "/job/2", JOB, "Progress", reached);
                assert_property(r, ROOT, MANAGER, "JobCount", "0");
                restart(r, SIGKILL);
        }
}

/* Whatever stands in these files, the daemon starts, and they are gone. */
static void test_broken_files(void **state) {
        static const char *const texts[] = {"", "{", "null", "{\"id\": 7}",
                "{\"version\":1,\"id\":9,\"kind\":\"start\",\"owner\":0,\"state\":\"running\",\"stage\":\"\",\"started_at\":1,\"ended_at\":0}",
                "{\"version\":1,\"id\":7,\"kind\":\"start\",\"owner\":-1,\"state\":\"running\",\"stage\":\"\",\"started_at\":1,\"ended_at\":0}",
                "{\"version\":1,\"id\":7,\"kind\":\"start\",\"owner\":0,\"vm\":\"../x\",\"state\":\"running\",\"stage\":\"\",\"started_at\":1,\"ended_at\":0}",
                "{\"version\":1,\"id\":7,\"kind\":\"start\",\"owner\":0,\"state\":\"done\",\"stage\":\"\",\"started_at\":1,\"ended_at\":1}"};
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                g_autoptr(sd_bus_message) list = NULL;
                g_autoptr(GString) text = g_string_new(NULL);

                rig_stop_daemon(r, SIGTERM);
                rig_write(r, "state/cache/jobs/7.json", texts[i]);
                rig_write(r, "state/cache/jobs/.tmp-half", "x");
                rig_start_daemon(r);
                assert_false(rig_has(r, "state/cache/jobs/7.json"));
                list = rig_call(r, ROOT, MANAGER, "ListJobs", "a{sv}", 0);
                assert_good(list);
                append_value(text, list);
                assert_null(strstr(text->str, "start"));
        }
        until(r, rig_count_temporaries(r) == 0);
}

static void import_is_job(Rig *r, uint32_t expected) {
        g_autofree char *program = rig_path(r, "srv/program"), *name = g_strdup_printf("job:%u", expected);
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", name, program, 0);
        g_autofree char *removed = g_strdup_printf("JobRemoved %u " ROOT "/job/%u done", expected, expected);
        uint32_t id;

        assert_good(reply);
        assert_true(sd_bus_message_read(reply, "u", &id) >= 0);
        assert_int_equal(id, expected);
        until(r, trace_has(r, removed));
}

static void over_by(Rig *r, uint32_t id) {
        g_autofree char *text = g_strdup_printf("{\"version\":1,\"id\":%u,\"kind\":\"start\",\"owner\":0,\"state\":\"done\",\"stage\":"
                                                "\"\",\"started_at\":1,\"ended_at\":1}", id);
        g_autofree char *path = g_strdup_printf("state/cache/jobs/%u.json", id);

        rig_stop_daemon(r, SIGKILL);
        rig_write(r, path, text);
        rig_start_daemon(r);
        assert_false(rig_has(r, path));
}

/* A job that is forgotten keeps its number: whoever holds its path shall not find another's there. */
static void test_numbers(void **state) {
        Rig *r = *state;

        over_by(r, 40);
        import_is_job(r, 41);
        over_by(r, 7); /* lower than one that is over */
        assert_true(rig_has(r, "state/cache/jobs/40.last"));
        assert_false(rig_has(r, "state/cache/jobs/7.last"));
        over_by(r, 41); /* its minute has passed */
        assert_true(rig_has(r, "state/cache/jobs/41.last"));
        assert_false(rig_has(r, "state/cache/jobs/40.last"));
        restart(r, SIGTERM);
        import_is_job(r, 42);
        rig_stop_daemon(r, SIGTERM);
        rig_write(r, "state/cache/jobs/4294967295.last", ""); /* whatever stands there */
        rig_write(r, "state/cache/jobs/x.last", "");
        rig_write(r, "state/cache/jobs/0.last", "");
        rig_start_daemon(r);
        import_is_job(r, 1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_under_way, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_ended, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_broken_files, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_numbers, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
