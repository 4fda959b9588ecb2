/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The content-addressed store: what is hashed and when, look-ups, the line of builds, clean-up. */
#include "rig.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define WEB ROOT "/vm/web"

static void run_web(Rig *r, unsigned job, const char *result, const char *error, const char *text) {
        g_autoptr(sd_bus_message) reply = rig_call(
                r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "Accelerator", "s", "tcg");
        g_autoptr(sd_bus_message) end = NULL;

        assert_good(reply);
        end = wait_job(r, job);
        assert_end(end, result, error, text);
}

static char *image_path(Rig *r, const char *hex) {
        return g_strdup_printf(ROOT "/image/%u/%s", r->uid, hex);
}

static char *root_file(Rig *r, const char *hex) {
        g_autofree char *name = g_strdup_printf("state/images/%u/%s.squashfs", r->uid, hex);

        return rig_path(r, name);
}

/* Operations on images that workers were told, in their order; the host's QEMU is asked for its version beside them. */
static char *operations(Rig *r) {
        GString *s = g_string_new(NULL);

        for (guint i = 0; i < r->helpers->len; i++) {
                FakeHelper *h = r->helpers->pdata[i];
                const char *op = h->kind == KIND_WORKER && h->launch
                                         ? json_string_value(json_object_get(h->launch, "op"))
                                         : NULL;

                if (op && strcmp(op, "qemu-version") != 0)
                        g_string_append_printf(s, "%s ", op);
        }
        return g_string_free(s, FALSE);
}

static void assert_operations(Rig *r, const char *wanted) {
        g_autofree char *got = operations(r);

        assert_string_equal(got, wanted);
}

/* The hash worker finds something else. */
static void play_damaged(FakeHelper *h, json_t *message) {
        const char *op = json_string_value(json_object_get(message, "op"));

        if (op && strcmp(op, "hash") == 0)
                fake_say(h, json_pack("{s:s, s:s, s:i}", "type", "done", "digest", "sha256:" HEX2, "size", 4));
        else
                play_worker(h, message);
}

/* Whole: initrd once (made, then hashed), the image never. The second start does nothing at all. */
static void test_known_is_not_hashed(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) killed = NULL, again = NULL, end = NULL;

        run_web(r, 1, "done", "", "");
        assert_operations(r, "initrd hash ");
        killed = rig_call(r, WEB, VM, "Kill", "s", "KILL");
        assert_good(killed);
        until(r, trace_has(r, "changed /vm/web State=stopped"));
        again = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(again);
        end = wait_job(r, 2);
        assert_end(end, "done", "", "");
        assert_operations(r, "initrd hash ");
}

static void touch(Rig *r, const char *hex) {
        g_autofree char *path = root_file(r, hex);
        struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};

        assert_int_equal(utimensat(AT_FDCWD, path, now, 0), 0);
}

/* Touched: hashed once, and remembered. */
static void test_touched_is_hashed(void **state) {
        Rig *r = *state;
        g_autofree char *record = g_strdup_printf("state/images/%u/" HEX ".json", r->uid), *text = NULL;
        g_autoptr(sd_bus_message) killed = NULL, again = NULL, end = NULL;

        touch(r, HEX);
        run_web(r, 1, "done", "", "");
        assert_operations(r, "hash initrd hash ");
        text = rig_read(r, record);
        assert_non_null(strstr(text, "stamp"));
        killed = rig_call(r, WEB, VM, "Kill", "s", "KILL");
        assert_good(killed);
        until(r, trace_has(r, "changed /vm/web State=stopped"));
        again = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(again);
        end = wait_job(r, 2);
        assert_end(end, "done", "", "");
        assert_operations(r, "hash initrd hash ");
}

/* Another file in its place: no boot, and nothing of one. */
static void test_changed_is_refused(void **state) {
        Rig *r = *state;
        g_autofree char *name = g_strdup_printf("state/images/%u/" HEX ".squashfs", r->uid);

        rig_write(r, name, "evil");
        r->play[KIND_WORKER] = play_damaged;
        run_web(r, 1, "failed", ERROR("DigestMismatch"), "sha256:" HEX2);
        assert_property(r, WEB, VM, "State", "failed");
        assert_operations(r, "hash ");
        rig_settle(r);
        assert_int_equal(unit_runs(r, "mcp-vm@web.service"), 0);
        assert_int_equal(unit_runs(r, "mcp-passt@web.service"), 0);
        assert_int_equal(unit_runs(r, "mcp-image@1.service"), 0);
}

static void test_missing_root(void **state) {
        Rig *r = *state;
        g_autofree char *path = root_file(r, HEX);

        assert_int_equal(unlink(path), 0);
        run_web(r, 1, "failed", ERROR("BuildFailed"), "import the image again");
        rig_assert_alive(r);
}

/* Silent damage: the stamp is right, the bytes are not. From then on nothing boots from it. */
static void test_verify(void **state) {
        Rig *r = *state;
        g_autofree char *image = image_path(r, HEX);
        g_autoptr(sd_bus_message) reply = NULL, end = NULL, second = NULL, second_end = NULL;

        reply = rig_call(r, image, IMAGE, "Verify", NULL);
        assert_good(reply);
        end = wait_job(r, 1);
        assert_end(end, "done", "", "");
        assert_property(r, ROOT "/job/1", JOB, "Kind", "verify");
        assert_property(r, ROOT "/job/1", JOB, "Subject", image);

        r->play[KIND_WORKER] = play_damaged;
        second = rig_call(r, image, IMAGE, "Verify", NULL);
        assert_good(second);
        second_end = wait_job(r, 2);
        assert_end(second_end, "failed", ERROR("DigestMismatch"), REFERENCE);
        run_web(r, 3, "failed", ERROR("DigestMismatch"), "import it again");
        assert_operations(r, "hash hash hash ");
}

/* Cleaned up while it is verified: the job says so. */
static void test_removed_while_verified(void **state) {
        Rig *r = *state;
        g_autofree char *image = image_path(r, HEX);
        g_autoptr(sd_bus_message) reply = NULL, removed = NULL, end = NULL;

        r->play[KIND_WORKER] = play_nothing;
        reply = rig_call(r, image, IMAGE, "Verify", NULL);
        assert_good(reply);
        until(r, fake_heard(fake_find(r, "mcp-image@1.service"), "launch"));
        removed = rig_call(r, image, IMAGE, "Remove", "a{sv}", 0);
        assert_good(removed);
        play_worker(fake_find(r, "mcp-image@1.service"), fake_heard(fake_find(r, "mcp-image@1.service"), "launch"));
        end = wait_job(r, 1);
        assert_end(end, "failed", ERROR("NoSuchImage"), "removed");
        rig_assert_alive(r);
}

/* The worker says what it is about to unpack; what is there is not unpacked again. */
static void say_digest(FakeHelper *h, json_t *message) {
        const char *op = json_string_value(json_object_get(message, "op"));

        if (op && strcmp(op, "import") == 0)
                fake_say(h, json_pack("{s:s, s:s}", "type", "digest", "digest", "sha256:" HEX));
        else
                play_worker(h, message);
}

static void test_look_up(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program"), *image = image_path(r, HEX);
        g_autoptr(sd_bus_message) reply = NULL, end = NULL, found = NULL;
        const char *found_path;

        r->play[KIND_WORKER] = say_digest;
        reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "web:2", path, 0);
        assert_good(reply);
        end = wait_job(r, 1);
        assert_end(end, "done", "", "");
        found = rig_call(r, ROOT, MANAGER, "GetImage", "s", "web:2");
        assert_good(found);
        assert_true(sd_bus_message_read(found, "o", &found_path) > 0);
        assert_string_equal(found_path, image);
        rig_settle(r);
        assert_operations(r, "import ");
        assert_int_equal(unit_runs(r, "mcp-image@1.service"), 0);
        until(r, rig_count_temporaries(r) == 0);
}

/* What is there and damaged is made anew, under its old name and for its VMs. */
static void say_same(FakeHelper *h, json_t *message) {
        const char *op = json_string_value(json_object_get(message, "op"));

        if (!op || strcmp(op, "import") != 0) {
                play_worker(h, message);
                return;
        }
        fake_say(h, json_pack("{s:s, s:s}", "type", "digest", "digest", "sha256:" HEX));
        assert_true(pwrite(fake_fd(h, "output"), "new!", 4, 0) == 4);
        fake_say(h, json_pack("{s:s, s:s, s:s, s:s, s:i, s:{s:[s], s:[], s:[], s:s, s:s, s:s, s:[]}}", "type", "done",
                            "kind", "elf", "digest", "sha256:" HEX, "architecture", "x86_64", "size", 4, "config",
                            "entrypoint", "/web", "cmd", "env", "user", "", "workdir", "", "stop_signal", "", "ports"));
}

static void test_repair(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program"),
                        *root = g_strdup_printf("state/images/%u/" HEX ".squashfs", r->uid);
        g_autofree char *text = NULL;
        g_autoptr(sd_bus_message) reply = NULL, end = NULL, found = NULL;

        rig_write(r, root, "evil");
        r->play[KIND_WORKER] = say_same;
        reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "web:2", path, 0);
        assert_good(reply);
        end = wait_job(r, 1);
        assert_end(end, "done", "", "");
        text = rig_read(r, root);
        assert_string_equal(text, "new!");
        found = rig_call(r, ROOT, MANAGER, "GetImage", "s", REFERENCE);
        assert_good(found);
        run_web(r, 2, "done", "", "");
        assert_operations(r, "import hash initrd hash ");
}

/* ---- The line ---- */

static void start_import(Rig *r, const char *reference) {
        g_autofree char *path = rig_path(r, "srv/program");
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", reference, path, 0);

        assert_good(reply);
}

static void test_line(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) canceled = NULL, end = NULL, first = NULL;

        r->play[KIND_WORKER] = play_nothing;
        for (unsigned i = 0; i < 4; i++) {
                g_autofree char *reference = g_strdup_printf("tool:%u", i);

                start_import(r, reference);
        }
        until(r, fake_heard(fake_find(r, "mcp-image@2.service"), "launch"));
        rig_settle(r);
        assert_property(r, ROOT "/job/1", JOB, "State", "running");
        assert_property(r, ROOT "/job/2", JOB, "State", "running");
        assert_property(r, ROOT "/job/3", JOB, "State", "queued");
        assert_property(r, ROOT "/job/4", JOB, "State", "queued");
        assert_int_equal(rig_count_temporaries(r), 4); /* root image and archive of each */
        assert_int_equal(unit_runs(r, "mcp-image@3.service"), 0);

        canceled = rig_call(r, ROOT "/job/3", JOB, "Cancel", NULL);
        assert_good(canceled);
        end = wait_job(r, 3);
        assert_end(end, "canceled", ERROR("Canceled"), "");
        first = rig_call(r, ROOT "/job/1", JOB, "Cancel", NULL);
        assert_good(first);
        until(r, trace_has(r, "changed /job/4 State=running"));
        until(r, fake_heard(fake_find(r, "mcp-image@3.service"), "launch"));
        assert_int_equal(rig_count_temporaries(r), 4); /* root image and archive of each */
}

static void test_line_is_full(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, "srv/program"), *image = image_path(r, HEX);
        g_autoptr(sd_bus_message) reply = NULL, verify = NULL;

        r->play[KIND_WORKER] = play_nothing;
        for (unsigned i = 0; i < 2 + 16; i++) {
                g_autofree char *reference = g_strdup_printf("tool:%u", i);

                start_import(r, reference);
        }
        reply = rig_call(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "tool:19", path, 0);
        assert_error(reply, ERROR("QuotaExceeded"));
        verify = rig_call(r, image, IMAGE, "Verify", NULL);
        assert_error(verify, ERROR("QuotaExceeded"));
        assert_property(r, ROOT, MANAGER, "JobCount", "18");
        for (unsigned i = 3; i <= 18; i++) {
                g_autofree char *job = g_strdup_printf(ROOT "/job/%u", i);
                g_autoptr(sd_bus_message) canceled = rig_call(r, job, JOB, "Cancel", NULL);

                assert_good(canceled);
        }
}

/* ---- What a worker may say ---- */

#define CHATTER 1000U

static void chatter(FakeHelper *h, json_t *message) {
        for (unsigned i = 0; i < CHATTER; i++) {
                g_autofree char *text = g_strdup_printf("line %u", i);

                fake_say(h, json_pack("{s:s, s:i, s:s}", "type", "log", "level", 6, "text", text));
                fake_say(h, json_pack("{s:s, s:f, s:s}", "type", "progress", "fraction", i / (double) CHATTER, "stage",
                                    text));
        }
}

/* However much it says: ten signals a second, and a bounded log. */
static void test_chatter(void **state) {
        Rig *r = *state;
        uint64_t begin = (uint64_t) g_get_monotonic_time(), seconds;
        g_autoptr(sd_bus_message) log = NULL;

        r->play[KIND_WORKER] = chatter;
        start_import(r, "tool:2");
        until(r, trace_has(r, "changed /job/1 Stage"));
        rig_idle(r, 500 * 1000);
        rig_settle(r);
        seconds = ((uint64_t) g_get_monotonic_time() - begin) / G_USEC_PER_SEC + 1;
        assert_true(trace_count(r, "changed /job/1 Stage") <= seconds * 10 + 1);
        assert_true(trace_count(r, "changed /job/1 Progress") <= seconds * 10 + 1);
        assert_true(trace_count(r, "LogMessage") <= 201);
        log = rig_call(r, ROOT "/job/1", JOB, "GetLog", NULL);
        assert_good(log);
        rig_assert_alive(r);
}

/* ---- Clean-up ---- */

static void assert_cleaned(sd_bus_message *reply, uint64_t bytes, uint32_t count) {
        uint64_t got_bytes;
        uint32_t got_count;

        assert_good(reply);
        assert_true(sd_bus_message_read(reply, "tu", &got_bytes, &got_count) > 0);
        assert_int_equal(got_count, count);
        assert_int_equal(got_bytes, bytes);
}

static void test_clean(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) unnamed = NULL, all = NULL, vm = NULL, again = NULL, removed = NULL, last = NULL,
                                  wrong = NULL;
        g_autoptr(sd_bus_message) end = NULL;

        start_import(r, "tool:2");
        end = wait_job(r, 1);
        assert_end(end, "done", "", "");
        vm = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);
        assert_good(vm);
        rig_write(r, "state/cache/initrd-5.0.0-gone-1-2-3", "old");
        rig_write(r, "state/cache/initrd-5.0.0-gone-1-2-3.json", "{}");
        rig_write(r, "state/cache/kvm.json", "{}");

        wrong = rig_call(r, ROOT, MANAGER, "CleanImages", "a{sv}", 2, "All", "b", 1, "Owner", "u", r->uid);
        assert_error(wrong, ERROR("InvalidSpec"));
        unnamed = rig_call(r, ROOT, MANAGER, "CleanImages", "a{sv}", 1, "Unnamed", "b", 1);
        assert_cleaned(unnamed, 3, 1);
        assert_false(rig_has(r, "state/cache/initrd-5.0.0-gone-1-2-3"));
        assert_false(rig_has(r, "state/cache/initrd-5.0.0-gone-1-2-3.json"));
        assert_true(rig_has(r, "state/cache/kvm.json"));
        all = rig_call(r, ROOT, MANAGER, "CleanImages", "a{sv}", 0);
        assert_cleaned(all, 4, 1);
        until(r, trace_has(r, "InterfacesRemoved " ROOT "/image/"));
        again = rig_call(r, ROOT, MANAGER, "CleanImages", "a{sv}", 0);
        assert_cleaned(again, 0, 0);
        removed = rig_call(r, WEB, VM, "Remove", "a{sv}", 0);
        assert_good(removed);
        until(r, trace_has(r, "VMRemoved web"));
        last = rig_call(r, ROOT, MANAGER, "CleanImages", "a{sv}", 1, "Owner", "u", r->uid);
        assert_cleaned(last, 4 + 7, 1); /* the root image, and the archive beside it */
}

/* The initrd of a kernel that a VM boots stays. */
static void test_clean_keeps_initrds(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;

        run_web(r, 1, "done", "", "");
        reply = rig_call(r, ROOT, MANAGER, "CleanImages", "a{sv}", 1, "All", "b", 1);
        assert_cleaned(reply, 0, 0);
}

/* An initrd that is not the one we made is made anew. */

static void test_changed_initrd(void **state) {
        Rig *r = *state;
        g_autofree char *cache = rig_path(r, "state/cache");
        g_autoptr(GDir) dir = NULL;
        const char *name;

        run_web(r, 1, "done", "", "");
        dir = g_dir_open(cache, 0, NULL);
        while ((name = g_dir_read_name(dir)))
                if (g_str_has_prefix(name, "initrd-") && !g_str_has_suffix(name, ".json")) {
                        g_autofree char *path = g_strconcat("state/cache/", name, NULL);

                        rig_write(r, path, "evil");
                }
        {
                g_autoptr(sd_bus_message) killed = rig_call(r, WEB, VM, "Kill", "s", "KILL"), again = NULL, end = NULL;

                assert_good(killed);

                until(r, trace_has(r, "changed /vm/web State=stopped"));
                again = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
                assert_good(again);
                end = wait_job(r, 2);
                assert_end(end, "done", "", "");
        }
        assert_operations(r, "initrd hash initrd hash ");
}

static void test_provenance(void **state) {
        Rig *r = *state;
        g_autofree char *image = image_path(r, HEX);

        assert_property(r, image, IMAGE, "Provenance", "[{manifest sha256:" HEX "} {root-image sha256:" HEX "}]");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_known_is_not_hashed, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_touched_is_hashed, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_changed_is_refused, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_missing_root, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_verify, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_removed_while_verified, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_look_up, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_repair, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_line, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_line_is_full, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_chatter, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_clean, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_clean_keeps_initrds, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_changed_initrd, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_provenance, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
