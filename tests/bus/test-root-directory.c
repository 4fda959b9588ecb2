/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMs whose root is a directory of the host: no image anywhere on their way, and the directory is looked at when it is
 * used. */
#include "rig.h"

#include <sys/stat.h>
#include <unistd.h>

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"
#define TREE "srv/tree"

/* The kernel of the rig has no 9p by itself. */
static void give_9p(Rig *r) {
        rig_write(r, "modules/6.1.0-test/kernel/fs/9p/9p.ko", "module");
}

static void make_tree(Rig *r) {
        g_autofree char *path = rig_path(r, TREE);

        rig_write(r, TREE "/bin/app", "app");
        assert_int_equal(chmod(path, 0755), 0);
}

static sd_bus_message *call_with(Rig *r, const char *method, const char *path) {
        return rig_call(r, ROOT, MANAGER, method, "sa{sv}", "web", 3, "RootDirectory", "s", path, "Command", "as", 1,
                "/bin/app", "Accelerator", "s", "tcg");
}

static sd_bus_message *call_with_tree(Rig *r, const char *method) {
        g_autofree char *path = rig_path(r, TREE);

        return call_with(r, method, path);
}

static bool got_directory(Rig *r, FakeHelper *h) {
        g_autofree char *path = rig_path(r, TREE);
        struct stat want, st;

        assert_int_equal(stat(path, &want), 0);
        for (size_t i = 0; i < h->n_fds; i++)
                if (fstat(h->fds[i], &st) == 0 && st.st_ino == want.st_ino && st.st_dev == want.st_dev)
                        return true;
        return false;
}

static bool argv_has(FakeHelper *h, const char *part) {
        size_t i;
        json_t *word;

        json_array_foreach(
                json_object_get(h->launch, "argv"), i, word) if (strstr(json_string_value(word), part)) return true;
        return false;
}

static void test_run(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = NULL, spec = NULL, stop = NULL, start = NULL, exported = NULL;
        g_autofree char *path = rig_path(r, TREE), *text = NULL;
        GString *out = g_string_new(NULL);
        Question *q;

        give_9p(r);
        make_tree(r);
        run = call_with_tree(r, "RunVM");
        assert_good(run);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        q = fake_polkit_last(r);
        assert_string_equal(q->action, "org.mcp.Runtime1.use-host-path");
        assert_string_equal(g_hash_table_lookup(q->details, "path"), path);
        assert_true(got_directory(r, fake_find(r, MONITOR)));
        assert_true(
                argv_has(fake_find(r, MONITOR), " root=rootfs rootfstype=9p rootflags=trans=virtio,version=9p2000.L"));
        assert_false(argv_has(fake_find(r, MONITOR), path));
        assert_property(r, WEB, VM, "Image", "");
        assert_property(r, WEB, VM, "ImageDigest", "");
        assert_property(r, WEB, VM, "Version", "");
        spec = rig_call(r, WEB, VM, "GetSpec", NULL);
        assert_good(spec);
        append_value(out, spec);
        text = g_string_free(out, FALSE);
        assert_non_null(strstr(text, path));

        exported = rig_call(r, WEB, VM, "ExportUnit", NULL);
        assert_error(exported, ERROR("NotSupported"));

        /* The record of it is read as it was written, and it starts as others do. */
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        stop = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0);
        until(r, trace_has(r, "JobRemoved 2 "));
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 3 " ROOT "/job/3 done"));
        assert_true(got_directory(r, fake_find(r, MONITOR)));
}

static void assert_start_refused(Rig *r, unsigned job) {
        g_autoptr(sd_bus_message) start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        g_autofree char *end = g_strdup_printf("JobRemoved %u " ROOT "/job/%u failed " ERROR("InvalidSpec"), job, job);

        assert_good(start);
        until(r, trace_has(r, end));
        assert_property(r, WEB, VM, "State", "failed");
        assert_int_equal(unit_runs(r, MONITOR), 0);
}

/* What became of the directory between CreateVM and Start is told by name. */
static void test_changed(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) created = NULL, start = NULL;
        g_autofree char *path = rig_path(r, TREE), *away = rig_path(r, "srv/away");

        give_9p(r);
        make_tree(r);
        created = call_with_tree(r, "CreateVM");
        assert_good(created);
        assert_int_equal(rename(path, away), 0);
        assert_start_refused(r, 1); /* missing */
        assert_int_equal(symlink(away, path), 0);
        assert_start_refused(r, 2); /* a link */
        assert_int_equal(unlink(path), 0);
        rig_write(r, TREE, "a file");
        assert_start_refused(r, 3);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rename(away, path), 0);
        assert_int_equal(chmod(path, 0754), 0);
        assert_start_refused(r, 4); /* not everybody's */
        assert_int_equal(chmod(path, 0751), 0);
        assert_start_refused(r, 5);
        assert_int_equal(chmod(path, 0755), 0);
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 6 " ROOT "/job/6 done"));
}

static void test_refused(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, TREE), *climb = rig_path(r, "srv/../srv/tree"),
                        *beside = rig_path(r, "srvx");
        g_autoptr(sd_bus_message)
                relative = call_with(r, "CreateVM", "srv/tree"),
                up = call_with(r, "CreateVM", climb), outside = call_with(r, "CreateVM", beside),
                both = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 3, "RootDirectory", "s", path, "Image",
                        "s", REFERENCE, "Command", "as", 1, "x"),
                bare = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "RootDirectory", "s", path),
                nanos = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 3, "RootDirectory", "s", path, "Target",
                        "s", "nanos", "Command", "as", 1, "x"),
                neither = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Command", "as", 1, "x"),
                build = rig_call(r, ROOT, MANAGER, "BuildImage", "sa{sv}", "", 0);

        assert_error(relative, ERROR("InvalidSpec"));
        assert_error(up, ERROR("InvalidSpec"));
        assert_error(outside, ERROR("InvalidSpec"));
        assert_error(both, ERROR("InvalidSpec"));
        assert_error(bare, ERROR("InvalidSpec"));
        assert_error(nanos, ERROR("InvalidSpec"));
        assert_error(neither, ERROR("InvalidSpec"));
        assert_error(build, ERROR("InvalidSpec"));
        assert_int_equal(r->questions->len, 0);
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
}

static void test_kernel(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = NULL, valid = NULL;
        g_autofree char *text = NULL;
        GString *out = g_string_new(NULL);

        make_tree(r);
        run = call_with_tree(r, "RunVM");
        assert_good(run);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 failed " ERROR("NotSupported")));
        assert_int_equal(unit_runs(r, MONITOR), 0);
        valid = rig_call(r, ROOT, MANAGER, "ValidateVM", "sa{sv}", "other", 2, "RootDirectory", "s", "/nowhere",
                "Command", "as", 1, "x");
        assert_good(valid);
        assert_true(sd_bus_message_skip(valid, "as") >= 0);
        append_value(out, valid);
        text = g_string_free(out, FALSE);
        assert_non_null(strstr(text, "VolumeRoots"));
}

/* From an image to a directory and back; the image has no user meanwhile. */
static void test_update(void **state) {
        Rig *r = *state;
        g_autofree char *path = rig_path(r, TREE);
        g_autoptr(sd_bus_message) created = NULL, none = NULL, to = NULL, both = NULL, back = NULL, start = NULL,
                                  asked = NULL;

        give_9p(r);
        make_tree(r);
        created = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 3, "Image", "s", REFERENCE, "Accelerator",
                "s", "tcg", "Command", "as", 1, "/bin/app");
        assert_good(created);
        both = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "RootDirectory", "s", path);
        assert_error(both, ERROR("InvalidSpec"));
        none = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "Image", "s", "");
        assert_error(none, ERROR("InvalidSpec"));
        assert_property(r, WEB, VM, "Image", REFERENCE);
        to = rig_call(r, WEB, VM, "Update", "a{sv}", 2, "RootDirectory", "s", path, "Image", "s", "");
        assert_good(to);
        assert_string_equal(fake_polkit_last(r)->action, "org.mcp.Runtime1.use-host-path");
        assert_property(r, WEB, VM, "Image", "");
        assert_property(r, WEB, VM, "ImageDigest", "");
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        asked = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0);
        until(r, trace_has(r, "JobRemoved 2 "));
        back = rig_call(r, WEB, VM, "Update", "a{sv}", 2, "RootDirectory", "s", "", "Image", "s", REFERENCE);
        assert_good(back);
        assert_property(r, WEB, VM, "ImageDigest", "sha256:" HEX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_run, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_changed, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_refused, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_kernel, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_update, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
