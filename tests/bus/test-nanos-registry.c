/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks of Nanos guests to and from registries: one host has ops, the other has not, and helpers do not play their
 * part. */
#include "rig.h"

#include <sys/stat.h>
#include <unistd.h>

#include "shared/artifact-type.h"
#include "shared/wire.h"

#define PLACE "registry.example.com/web-disk"
#define WEB ROOT "/vm/web"

static unsigned count_disks(Rig *r) {
        g_autofree char *name = g_strdup_printf("state/images/%u", r->uid), *path = rig_path(r, name);
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *entry;
        unsigned n = 0;

        while (dir && (entry = g_dir_read_name(dir)))
                n += g_str_has_suffix(entry, ".nanos");
        return n;
}

/* ---- Helpers that do what they are told ---- */

static const char *disk_image;
static char *disk_key;

static void play_disks(FakeHelper *h, json_t *message) {
        const char *op = json_string_value(json_object_get(message, "op"));

        if (g_strcmp0(op, "nanos-pack") == 0) {
                g_free(disk_key);
                disk_key = g_strdup(json_string_value(json_object_get(message, "key")));
                fake_say(h, json_pack("{s:s, s:s}", "type", "done", "digest", "sha256:" HEX2));
        } else if (g_strcmp0(op, "nanos-unpack") == 0) {
                assert_true(pwrite(fake_fd(h, "output"), "disk", 4, 0) == 4);
                fake_say(h, json_pack("{s:s, s:s*, s:s*}", "type", "done", "image", disk_image, "key", disk_key));
        } else
                play_worker(h, message);
}

static int setup(void **state) {
        int r = rig_setup_without_daemon(state);
        Rig *rig = *state;

        if (r != 0)
                return r;
        rig_write_ops(rig, "");
        rig->play[KIND_FETCH] = play_artifact;
        rig->play[KIND_WORKER] = play_disks;
        rig->artifact_type = ARTIFACT_NANOS;
        rig->artifact_manifest = "sha256:" HEX2;
        disk_image = "sha256:" HEX;
        rig_start_daemon(rig);
        return 0;
}

static int teardown(void **state) {
        g_clear_pointer(&disk_key, g_free);
        return rig_teardown(state);
}

static void build(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "BuildImage", "sa{sv}", REFERENCE, 3, "Target",
                "s", "nanos", "Command", "as", 1, "one", "Network", "s", "none");

        assert_good(reply);
}

static sd_bus_message *push(Rig *r, const char *argument, const char *destination) {
        return rig_call(r, ROOT, MANAGER, "PushImage", "ssa{sv}", REFERENCE, destination, 3, "Target", "s", "nanos",
                "Command", "as", 1, argument, "Network", "s", "none");
}

static unsigned pull(Rig *r, const char *reference) {
        g_autoptr(sd_bus_message) reply =
                rig_call(r, ROOT, MANAGER, "PullImage", "sa{sv}", reference, 1, "Target", "s", "nanos");

        return job_of(reply);
}

static void remove_ops(Rig *r) {
        g_autofree char *ops = rig_path(r, "ops/ops");

        assert_int_equal(unlink(ops), 0);
}

/* Another daemon reads the image's record as it was changed meanwhile. */
static void change_record(Rig *r, void (*change)(json_t *record)) {
        g_autofree char *name = g_strdup_printf("state/images/%u/" HEX ".json", r->uid), *record = NULL;
        g_autofree char *path = rig_path(r, name), *text = NULL;
        json_t *object;

        rig_stop_daemon(r, SIGTERM);
        record = rig_read(r, name);
        object = json_loads(record, 0, NULL);
        change(object);
        text = json_dumps(object, 0);
        json_decref(object);
        assert_int_equal(chmod(path, 0600), 0);
        rig_write(r, name, text);
        rig_start_daemon(r);
}

/* As on another host: the image is there, no disk is known. */
static void forget_disks(json_t *record) {
        (void) json_object_set_new(record, "builds", json_array());
}

/* As it was before tools were noted. */
static void forget_tools(json_t *record) {
        json_t *build = json_array_get(json_object_get(record, "builds"), 0);

        assert_int_equal(json_object_del(build, "tools"), 0);
}

/* ---- There and back ---- */

static void test_there_and_back(void **state) {
        Rig *r = *state;
        g_autofree char *image = g_strdup_printf(ROOT "/image/%u/" HEX, r->uid), *path = NULL;
        g_autoptr(sd_bus_message) early = push(r, "one", PLACE ":1"), reply = NULL, other = NULL, vm = NULL;
        json_t *launch;
        unsigned job;

        assert_error(early, ERROR("NoSuchImage"));
        build(r);
        assert_job_tidy(r, 1, "done", "", "");
        other = push(r, "two", PLACE ":1");
        assert_error(other, ERROR("NoSuchImage"));
        reply = push(r, "one", PLACE ":1");
        assert_good(reply);
        assert_job_tidy(r, 2, "done", "", "");
        assert_string_equal(((Question *) r->questions->pdata[r->questions->len - 1])->action, NAME ".push-image");
        assert_property(r, ROOT "/job/2", JOB, "Kind", "push");
        assert_property(r, ROOT "/job/2", JOB, "Subject", image);
        launch = fake_find_op(r, "nanos-pack")->launch;
        assert_string_equal(json_string_value(json_object_get(launch, "image")), "sha256:" HEX);
        launch = fake_find_op(r, "push")->launch;
        assert_string_equal(json_string_value(json_object_get(launch, "destination")), PLACE ":1");
        assert_string_equal(json_string_value(json_object_get(launch, "digest")), "sha256:" HEX2);

        change_record(r, forget_disks);
        remove_ops(r);
        job = pull(r, PLACE ":1");
        assert_job_tidy(r, job, "done", "", "");
        assert_string_equal(((Question *) r->questions->pdata[r->questions->len - 1])->action, NAME ".pull-image");
        launch = fake_find_op(r, "nanos-unpack")->launch;
        assert_string_equal(json_string_value(json_object_get(launch, "digest")), "sha256:" HEX2);
        path = g_strdup_printf(ROOT "/job/%u", job);
        assert_property(r, path, JOB, "Kind", "pull");
        assert_property(r, path, JOB, "Subject", image);
        assert_int_equal(count_disks(r), 1);
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        vm = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 5, "Image", "s", REFERENCE, "Accelerator", "s", "tcg",
                "Target", "s", "nanos", "Network", "s", "none", "Command", "as", 1, "one");
        assert_good(vm);
        assert_true(sd_bus_message_skip(vm, "o") > 0);
        assert_job_tidy(r, job_of(vm), "done", "", "");
        assert_int_equal(fake_count_op(r, "nanos"), 1); /* the one of BuildImage */
        assert_property(r, WEB, VM, "ImageHash", HEX);
}

/* What was made here is made again by other tools, what was pulled is not. */
static void test_other_tools(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;

        build(r);
        assert_job_tidy(r, 1, "done", "", "");
        reply = push(r, "one", PLACE ":1");
        assert_good(reply);
        assert_job_tidy(r, 2, "done", "", "");
        rig_write(r, "ops/.ops/latest.txt", "0.1.56\n");
        build(r);
        assert_job_tidy(r, 3, "done", "", "");
        assert_int_equal(fake_count_op(r, "nanos"), 2);
        assert_int_equal(count_disks(r), 1);
        pull(r, PLACE ":1");
        assert_job_tidy(r, 4, "done", "", "");
        assert_int_equal(count_disks(r), 1);
        rig_write(r, "ops/.ops/latest.txt", "0.1.57\n");
        build(r);
        assert_job_tidy(r, 5, "done", "", "");
        assert_int_equal(fake_count_op(r, "nanos"), 2);
}

/* Without ops, what was made is used, and what was not is ToolMissing. */
static void test_no_tools(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) there = NULL, missing = NULL;

        build(r);
        assert_job_tidy(r, 1, "done", "", "");
        remove_ops(r);
        there = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 5, "Image", "s", REFERENCE, "Accelerator", "s",
                "tcg", "Target", "s", "nanos", "Network", "s", "none", "Command", "as", 1, "one");
        assert_good(there);
        assert_job_tidy(r, 2, "done", "", "");
        missing = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "two", 5, "Image", "s", REFERENCE, "Accelerator", "s",
                "tcg", "Target", "s", "nanos", "Network", "s", "none", "Command", "as", 1, "two");
        assert_good(missing);
        assert_job_tidy(r, 3, "failed", ERROR("ToolMissing"), "Ops=");
}

/* What an older daemon recorded goes with its image. */
static void test_old_record(void **state) {
        Rig *r = *state;
        g_autofree char *image = g_strdup_printf(ROOT "/image/%u/" HEX, r->uid);
        g_autoptr(sd_bus_message) gone = NULL;

        build(r);
        assert_job_tidy(r, 1, "done", "", "");
        change_record(r, forget_tools);
        assert_int_equal(count_disks(r), 1);
        gone = rig_call(r, image, IMAGE, "Remove", "a{sv}", 0);
        assert_good(gone);
        assert_int_equal(count_disks(r), 0);
}

/* ---- What is refused ---- */

static void test_words(void **state) {
        Rig *r = *state;
        static const char *const pushed[] = {"Command", "Environment"};
        g_autoptr(sd_bus_message)
                target = rig_call(r, ROOT, MANAGER, "PullImage", "sa{sv}", PLACE ":1", 1, "Target", "s", "linux"),
                both = rig_call(r, ROOT, MANAGER, "PullImage", "sa{sv}", PLACE ":1", 2, "Target", "s", "nanos",
                        "Profile", "s", "kvm-linux"),
                architecture = rig_call(r, ROOT, MANAGER, "PullImage", "sa{sv}", PLACE ":1", 2, "Target", "s", "nanos",
                        "Architecture", "s", "x86_64"),
                place = rig_call(r, ROOT, MANAGER, "PullImage", "sa{sv}", "web:1", 1, "Target", "s", "nanos"),
                image = rig_call(r, ROOT, MANAGER, "PushImage", "ssa{sv}", "no:1", PLACE, 1, "Target", "s", "nanos"),
                kernel = rig_call(r, ROOT, MANAGER, "PushImage", "ssa{sv}", REFERENCE, PLACE, 2, "Target", "s", "nanos",
                        "Kernel", "s", "6"),
                digest = NULL;

        assert_error(target, ERROR("InvalidSpec"));
        assert_error(both, ERROR("InvalidSpec"));
        assert_error(architecture, ERROR("InvalidSpec"));
        assert_error(place, ERROR("InvalidName"));
        assert_error(image, ERROR("NoSuchImage"));
        assert_error(kernel, ERROR("InvalidSpec"));
        for (size_t i = 0; i < G_N_ELEMENTS(pushed); i++) {
                g_autoptr(sd_bus_message) alone = rig_call(
                        r, ROOT, MANAGER, "PushImage", "ssa{sv}", REFERENCE, PLACE, 1, pushed[i], "as", 1, "A=1");

                assert_error(alone, ERROR("InvalidSpec"));
        }
        build(r);
        assert_job_tidy(r, 1, "done", "", "");
        digest = push(r, "one", PLACE "@sha256:" HEX2);
        assert_error(digest, ERROR("InvalidName"));
        assert_null(fake_find_op(r, "pull"));
        assert_null(fake_find_op(r, "push"));
}

static void test_other_things(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;

        disk_key = g_strdup(HEX3);
        r->artifact_type = NULL;
        pull(r, PLACE ":1");
        assert_job_tidy(r, 1, "failed", ERROR("UnsupportedImage"), "is an image, not a disk");
        r->artifact_type = ARTIFACT_PROFILE;
        pull(r, PLACE ":1");
        assert_job_tidy(r, 2, "failed", ERROR("UnsupportedImage"), "of the type");
        r->artifact_type = ARTIFACT_NANOS_CONFIG;
        r->artifact_manifest = "sha256:" HEX3;
        pull(r, PLACE ":1");
        assert_job_tidy(r, 3, "failed", ERROR("UnsupportedImage"), "index");
        pull(r, PLACE "@sha256:" HEX);
        assert_job_tidy(r, 4, "failed", ERROR("DigestMismatch"), HEX);
        reply = rig_call(r, ROOT, MANAGER, "PullImage", "sa{sv}", PLACE ":1", 0);
        assert_good(reply);
        assert_job_tidy(r, 5, "failed", ERROR("UnsupportedImage"), "option Target");
        assert_null(fake_find_op(r, "nanos-unpack"));

        /* Of an image that is not here, or of none. */
        r->artifact_manifest = "sha256:" HEX2;
        disk_image = "sha256:" HEX3;
        pull(r, PLACE ":1");
        assert_job_tidy(r, 6, "failed", ERROR("NoSuchImage"), "made of image sha256:" HEX3 ", which you do not have");
        disk_image = "../../x";
        pull(r, PLACE ":1");
        assert_job_tidy(r, 7, "failed", ERROR("BuildFailed"), "whose disk");
        disk_image = "sha256:" HEX;
        g_free(disk_key);
        disk_key = g_strdup("../../../etc/x");
        pull(r, PLACE ":1");
        assert_job_tidy(r, 8, "failed", ERROR("BuildFailed"), "whose disk");
        g_clear_pointer(&disk_key, g_free);
        pull(r, PLACE ":1");
        assert_job_tidy(r, 9, "failed", ERROR("BuildFailed"), "whose disk");
        assert_int_equal(count_disks(r), 0);
        rig_assert_alive(r);
}

static void cancel(Rig *r, unsigned job) {
        g_autofree char *path = g_strdup_printf(ROOT "/job/%u", job);
        g_autoptr(sd_bus_message) reply = rig_call(r, path, JOB, "Cancel", NULL);

        assert_good(reply);
        assert_job_tidy(r, job, "canceled", ERROR("Canceled"), "");
}

/* Whatever part it is in, nothing is left. */
static void test_cancel(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL, last = NULL;

        disk_key = g_strdup(HEX3);
        build(r);
        assert_job_tidy(r, 1, "done", "", "");
        r->play[KIND_FETCH] = play_nothing;
        pull(r, PLACE ":1");
        until(r, fake_find_op(r, "pull"));
        cancel(r, 2);
        reply = push(r, "one", PLACE ":1");
        assert_good(reply);
        until(r, fake_find_op(r, "push"));
        cancel(r, 3);
        r->play[KIND_FETCH] = play_artifact;
        r->play[KIND_WORKER] = play_nothing;
        pull(r, PLACE ":1");
        until(r, fake_find_op(r, "nanos-unpack"));
        cancel(r, 4);
        last = push(r, "one", PLACE ":1");
        assert_good(last);
        until(r, fake_count_op(r, "nanos-pack") == 2);
        cancel(r, 5);
        pull(r, PLACE ":1");
        until(r, fake_count_op(r, "nanos-unpack") == 2);
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        until(r, rig_count_temporaries(r) == 0);
        assert_int_equal(count_disks(r), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_there_and_back),
                TEST(test_other_tools),
                TEST(test_no_tools),
                TEST(test_old_record),
                TEST(test_words),
                TEST(test_other_things),
                TEST(test_cancel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
