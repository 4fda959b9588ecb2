/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Imports of files, with workers that play their part or do not. */
#include "rig.h"

static void test_import(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program"), *image = g_strdup_printf(ROOT "/image/%u/" HEX2, r->uid);
        g_autofree char *root = g_strdup_printf("state/images/%u/" HEX2 ".squashfs", r->uid);
        g_autoptr(sd_bus_message) reply = NULL, end = NULL, exists = NULL, in_use = NULL, removed = NULL, vm = NULL;
        int there = 0;

        reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "tool:2", path, 0);
        assert_good(reply);
        end = wait_job(r, 1);
        assert_end(end, "done", "", "");
        until(r, trace_has(r, "JobRemoved 1 "));
        assert_true(trace_has(r, "added /image/"));
        assert_property(r, image, IMAGE, "Reference", "tool:2");
        assert_property(r, image, IMAGE, "Digest", "sha256:" HEX2);
        assert_property(r, ROOT "/job/1", JOB, "Subject", image);
        assert_true(rig_has(r, root));
        until(r, rig_count_temporaries(r) == 0);
        exists = rig_call(r, ROOT, MANAGER, "ImageExists", "s", "tool:2");
        assert_true(sd_bus_message_read(exists, "b", &there) > 0 && there);

        vm = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "tool", 1, "Image", "s", "tool:2");
        assert_good(vm);
        in_use = rig_call(r, image, IMAGE, "Remove", "a{sv}", 0);
        assert_error(in_use, ERROR("ImageInUse"));
        sd_bus_message_unref(vm);
        vm = rig_call(r, ROOT "/vm/tool", VM, "Remove", "a{sv}", 0);
        assert_good(vm);
        removed = rig_call(r, image, IMAGE, "Remove", "a{sv}", 0);
        assert_good(removed);
        assert_false(rig_has(r, root));
}

/* A second name for what is there: one image, two names, nothing written twice. */
static void test_import_twice(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program");
        const char *names[] = {"tool:2", "tool:3", "tool:2"};

        for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", names[i], path, 0);
                g_autoptr(sd_bus_message) result = NULL, found = NULL;

                assert_good(reply);
                result = wait_job(r, i + 1);
                assert_end(result, "done", "", "");
                found = rig_call(r, ROOT, MANAGER, "GetImage", "s", names[i]);
                assert_good(found);
        }
        until(r, rig_count_temporaries(r) == 0);
}

static void test_import_canceled(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program");
        g_autoptr(sd_bus_message) reply = NULL, cancel = NULL, end = NULL;

        r->play[KIND_WORKER] = play_nothing;
        reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "tool:2", path, 0);
        assert_good(reply);
        until(r, fake_heard(fake_find(r, "mcp-image@1.service"), "launch"));
        assert_int_equal(rig_count_temporaries(r), 2); /* root image and archive */
        cancel = rig_call(r, ROOT "/job/1", JOB, "Cancel", NULL);
        assert_good(cancel);
        end = wait_job(r, 1);
        assert_end(end, "canceled", ERROR("Canceled"), "");
        rig_settle(r);
        until(r, rig_count_temporaries(r) == 0);
        assert_int_equal(unit_runs(r, "mcp-image@1.service"), 0);
}

/* The worker read foreign bytes: what it says is checked like foreign bytes. */
static void say_nonsense(FakeHelper *h, json_t *message) {
        fake_say(h, json_pack("{s:s, s:s, s:i}", "type", "done", "digest", "sha256:../../../etc/passwd", "size", -5));
}

static void say_half(FakeHelper *h, json_t *message) {
        const char *op = json_string_value(json_object_get(message, "op"));

        if (op && strcmp(op, "import") == 0)
                fake_say(h, json_pack("{s:s, s:s, s:s}", "type", "done", "digest", "sha256:" HEX2, "architecture", "x86_64"));
        else
                play_worker(h, message);
}

static void test_import_nonsense(void **state) {
        static const Play plays[] = {say_nonsense, say_half, play_hang_up, play_fail};
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program");
        g_autoptr(sd_bus_message) again = NULL, done = NULL;

        for (unsigned i = 0; i < G_N_ELEMENTS(plays); i++) {
                g_autoptr(sd_bus_message) reply = NULL, end = NULL;
                const char *result, *error;

                r->play[KIND_WORKER] = plays[i];
                reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "tool:2", path, 0);
                assert_good(reply);
                end = wait_job(r, i + 1);
                assert_true(sd_bus_message_read(end, "s", &result) > 0);
                assert_string_equal(result, "failed");
                assert_true(sd_bus_message_read(end, "s", &error) > 0);
                assert_string_equal(error, plays[i] == play_fail ? ERROR("NoSpace") : ERROR("BuildFailed"));
                rig_settle(r);
                until(r, rig_count_temporaries(r) == 0);
        }
        r->play[KIND_WORKER] = play_worker;
        again = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "tool:2", path, 0);
        assert_good(again);
        done = wait_job(r, G_N_ELEMENTS(plays) + 1);
        assert_end(done, "done", "", "");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_import, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_import_twice, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_import_canceled, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_import_nonsense, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
