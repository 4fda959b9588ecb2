/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nanos guests: when a disk is made, when it is found again, and what is left when that fails. */
#include "rig.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"
#define PASST "mcp-passt@web.service"

/* The daemon is told of an ops and of its release, both there. */
static int setup(void **state) {
        int r = rig_setup_without_daemon(state);
        Rig *rig = *state;

        if (r != 0)
                return r;
        rig_write_ops(rig, "BuildTimeoutSec=7\n");
        rig_start_daemon(rig);
        return 0;
}

static sd_bus_message *run_nanos(Rig *r, const char *argument) {
        return rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 5, "Image", "s", REFERENCE, "Accelerator", "s", "tcg",
                "Target", "s", "nanos", "Network", "s", "none", "Command", "as", 1, argument);
}

static void start_web(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, "Start", "a{sv}", 0);

        assert_good(reply);
}

static void end_web(Rig *r) {
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        until(r, trace_has(r, "changed /vm/web State=stopped"));
        trace_clear(r);
}

/* Paths of the disks in the store. */
static GPtrArray *disks(Rig *r) {
        g_autofree char *name = g_strdup_printf("state/images/%u", r->uid), *path = rig_path(r, name);
        GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *entry;

        while (dir && (entry = g_dir_read_name(dir)))
                if (g_str_has_suffix(entry, ".nanos"))
                        g_ptr_array_add(found, g_build_filename(path, entry, NULL));
        return found;
}

static void assert_disks(Rig *r, guint n) {
        g_autoptr(GPtrArray) found = disks(r);

        assert_int_equal(found->len, n);
        until(r, rig_count_temporaries(r) == 0);
}

static void assert_string(json_t *object, const char *key, const char *value) {
        assert_string_equal(json_string_value(json_object_get(object, key)) ?: "(none)", value);
}

/* ---- Made once ---- */

static void test_made_once(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = run_nanos(r, "one");
        FakeHelper *build, *monitor;
        json_t *argv, *fds;

        assert_good(reply);
        assert_job(r, 1, "done", "", "");
        build = fake_find_op(r, "nanos");
        assert_non_null(build);
        fds = json_object_get(build->launch, "fds");
        assert_int_equal(json_array_size(fds), 2);
        assert_string_equal(json_string_value(json_array_get(fds, 0)), "root");
        assert_string_equal(json_string_value(json_array_get(fds, 1)), "output");
        argv = json_object_get(build->launch, "argv");
        assert_int_equal(json_array_size(argv), 2);
        assert_string_equal(json_string_value(json_array_get(argv, 0)), "/web");
        assert_string_equal(json_string_value(json_array_get(argv, 1)), "one");
        assert_string(build->launch, "address", "(none)");
        assert_string(build->launch, "architecture", "x86_64");
        assert_int_equal(json_integer_value(json_object_get(build->launch, "timeout")), 7000000);
        monitor = fake_find(r, MONITOR);
        assert_true(json_is_false(json_object_get(monitor->launch, "guest")));
        assert_string(monitor->launch, "ready", "none"); /* no network, nothing that it would say */
        assert_true(fake_fd(monitor, "qemu") >= 0);
        assert_property(r, WEB, VM, "Target", "nanos");
        assert_property(r, WEB, VM, "ImageHash", HEX);
        assert_disks(r, 1);

        end_web(r);
        start_web(r);
        assert_job(r, 2, "done", "", "");
        assert_int_equal(fake_count_op(r, "nanos"), 1);
        end_web(r);

        /* Another daemon finds it, too. */
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        start_web(r);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        assert_int_equal(fake_count_op(r, "nanos"), 1);
        assert_disks(r, 1);
}

static void test_changes(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = run_nanos(r, "one"), update = NULL, memory = NULL;
        g_autoptr(GPtrArray) found = NULL;
        int fd;

        assert_good(reply);
        assert_job(r, 1, "done", "", "");
        end_web(r);
        memory = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "MemoryMiB", "u", 128);
        assert_good(memory);
        start_web(r);
        assert_job(r, 2, "done", "", "");
        assert_int_equal(fake_count_op(r, "nanos"), 1); /* memory is not in the disk */
        end_web(r);

        update = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "Environment", "as", 1, "A=1");
        assert_good(update);
        start_web(r);
        assert_job(r, 3, "done", "", "");
        assert_int_equal(fake_count_op(r, "nanos"), 2);
        assert_disks(r, 2);
        end_web(r);

        /* One that somebody wrote to is not what was made. */
        found = disks(r);
        for (guint i = 0; i < found->len; i++) {
                assert_int_equal(chmod(found->pdata[i], 0600), 0);
                fd = open(found->pdata[i], O_WRONLY | O_CLOEXEC);
                assert_true(fd >= 0 && pwrite(fd, "evil", 4, 0) == 4);
                (void) close(fd);
        }
        start_web(r);
        assert_job(r, 4, "done", "", "");
        assert_int_equal(fake_count_op(r, "nanos"), 3);
        end_web(r);

        /* Another release of Nanos makes other disks. */
        rig_write(r, "ops/.ops/latest.txt", "0.1.56\n");
        start_web(r);
        assert_job(r, 5, "done", "", "");
        assert_int_equal(fake_count_op(r, "nanos"), 4);
}

/* With a network it is ready when it says that it has its address; the job waits for that. */
static void test_ready(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 4, "Image", "s", REFERENCE,
                "Accelerator", "s", "tcg", "Target", "s", "nanos", "Network", "s", "user");

        assert_good(reply);
        until(r, fake_find(r, MONITOR) && fake_find(r, MONITOR)->launch);
        assert_string(fake_find(r, MONITOR)->launch, "ready", "console");
        assert_string(fake_find(r, MONITOR)->launch, "ready_pattern", "assigned 10.0.2.15");
}

/* mcp-passt probes it, and tells the monitor by a socket of theirs; what the monitor makes of that is as of any guest. */
static void test_probes(void **state) {
        struct {
                FakeHelper *passt, *monitor;
        } h;
        Rig *r = *state;
        char word[8];
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 8, "Image", "s", REFERENCE,
                "Accelerator", "s", "tcg", "Target", "s", "nanos", "Network", "s", "user", "Restart", "s", "on-failure",
                "WaitReady", "b", 1, "Ready", "a{sv}", 3, "Kind", "s", "http", "Port", "q", 80, "Path", "s", "/x", "Health",
                "a{sv}", 2, "Kind", "s", "tcp", "Port", "q", 81);

        assert_good(reply);
        r->play[KIND_VM] = play_nothing;
        until(r, fake_find(r, MONITOR) && fake_find(r, MONITOR)->launch);
        h.monitor = fake_find(r, MONITOR);
        h.passt = fake_find(r, PASST);
        assert_string(h.passt->launch, "ready", "http 80 1000000 1000000 /x");
        assert_string(h.passt->launch, "health", "tcp 81 10000000 5000000");
        assert_string(h.monitor->launch, "ready", "probe");
        assert_string(json_object_get(h.monitor->launch, "health"), "kind", "probe");
        assert_int_equal(send(fake_fd(h.passt, "probes"), "word", 4, 0), 4);
        assert_int_equal(recv(fake_fd(h.monitor, "probes"), word, sizeof word, 0), 4);

        fake_running(h.monitor);
        fake_say(h.monitor, json_pack("{s:s}", "type", "program"));
        until(r, trace_has(r, "changed /job/1 Stage=ready"));
        fake_say(h.monitor, json_pack("{s:s}", "type", "ready"));
        until(r, trace_has(r, "changed /vm/web Ready=true"));
        assert_job(r, 1, "done", "", "");
        fake_say(h.monitor, json_pack("{s:s, s:s}", "type", "health", "health", "unhealthy"));
        until(r, fake_heard(h.monitor, "stop"));
        assert_true(json_is_true(json_object_get(fake_heard(h.monitor, "stop"), "unhealthy")));
        fake_exited(h.monitor, "unhealthy", 0);
        until(r, trace_has(r, "changed /vm/web RestartCount=1"));
        until(r, fake_find(r, MONITOR) != h.monitor && fake_heard(fake_find(r, MONITOR), "launch"));
        assert_true(fake_fd(fake_find(r, MONITOR), "probes") >= 0);
}

/* A start that is canceled before the monitor has its end leaves nothing. */
static void test_probes_canceled(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL, cancel = NULL;
        _cleanup_close_ int fd = -1;

        r->play[KIND_PASST] = play_nothing;
        reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 5, "Image", "s", REFERENCE, "Accelerator", "s", "tcg",
                "Target", "s", "nanos", "Network", "s", "user", "Ready", "a{sv}", 2, "Kind", "s", "tcp", "Port", "q", 80);
        assert_good(reply);
        until(r, fake_find(r, PASST) && fake_find(r, PASST)->launch);
        fd = dup(fake_fd(fake_find(r, PASST), "probes"));
        cancel = rig_call(r, ROOT "/job/1", JOB, "Cancel", "");
        assert_good(cancel);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 canceled"));
        /* The monitor's end of the pair was the daemon's still, and is closed: ours says so. */
        until(r, recv(fd, &(char){0}, 1, MSG_DONTWAIT) == 0);
}

/* Where there is guest init, it probes. */
static void test_no_probes(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 4, "Image", "s", REFERENCE,
                "Accelerator", "s", "tcg", "Network", "s", "user", "Ready", "a{sv}", 2, "Kind", "s", "tcp", "Port", "q", 80);

        assert_good(reply);
        until(r, fake_find(r, MONITOR) && fake_find(r, MONITOR)->launch);
        assert_int_equal(fake_fd(fake_find(r, MONITOR), "probes"), -1);
        assert_int_equal(fake_fd(fake_find(r, PASST), "probes"), -1);
        assert_null(json_object_get(fake_find(r, PASST)->launch, "ready"));
}

/* Two builds of a user run at once (BuildsPerUser=), also those of starts; the others wait in line. */
static void test_line(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) cancel = NULL;

        r->play[KIND_WORKER] = play_nothing;
        for (unsigned i = 0; i < 3; i++) {
                g_autofree char *name = g_strdup_printf("vm%u", i);
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", name, 4, "Image", "s",
                        REFERENCE, "Target", "s", "nanos", "Network", "s", "none", "Command", "as", 1, name);

                assert_good(reply);
        }
        until(r, fake_count_op(r, "nanos") == 2);
        rig_settle(r);
        assert_int_equal(fake_count_op(r, "nanos"), 2);
        assert_property(r, ROOT "/job/3", JOB, "State", "queued");
        cancel = rig_call(r, ROOT "/job/1", JOB, "Cancel", NULL);
        assert_good(cancel);
        until(r, fake_count_op(r, "nanos") == 3);
        assert_property(r, ROOT "/job/3", JOB, "State", "running");
}

/* ---- Failures ---- */

static void play_failure(FakeHelper *h, json_t *message) {
        if (json_object_get(message, "op"))
                fake_say(h, json_pack("{s:s, s:s, s:s}", "type", "failed", "error", "ToolMissing", "message", "no release"));
}

static void test_failure(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;

        r->play[KIND_WORKER] = play_failure;
        reply = run_nanos(r, "one");
        assert_good(reply);
        assert_job(r, 1, "failed", ERROR("ToolMissing"), "no release");
        assert_property(r, WEB, VM, "State", "failed");
        assert_disks(r, 0);
        assert_null(fake_find(r, MONITOR));
}

static void test_worker_dies(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;

        r->play[KIND_WORKER] = play_nothing;
        reply = run_nanos(r, "one");
        assert_good(reply);
        until(r, fake_find_op(r, "nanos"));
        fake_close(fake_find_op(r, "nanos"));
        assert_job(r, 1, "failed", ERROR("BuildFailed"), "without an answer");
        assert_disks(r, 0);
}

static void test_cancel(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL, cancel = NULL;

        r->play[KIND_WORKER] = play_nothing;
        reply = run_nanos(r, "one");
        assert_good(reply);
        until(r, fake_find_op(r, "nanos"));
        cancel = rig_call(r, ROOT "/job/1", JOB, "Cancel", NULL);
        assert_good(cancel);
        assert_job(r, 1, "canceled", ERROR("Canceled"), "");
        assert_property(r, WEB, VM, "State", "stopped");
        until(r, unit_runs(r, fake_find_op(r, "nanos")->unit) <= 0);
        assert_disks(r, 0);
}

static void test_no_tools(void **state) {
        Rig *r = *state;
        g_autofree char *latest = rig_path(r, "ops/.ops/latest.txt"), *ops = rig_path(r, "ops/ops");
        g_autoptr(sd_bus_message) reply = NULL, build = NULL;

        assert_int_equal(unlink(latest), 0);
        reply = run_nanos(r, "one");
        assert_good(reply);
        assert_job(r, 1, "failed", ERROR("ToolMissing"), "OpsHome=");
        assert_int_equal(unlink(ops), 0);
        build = rig_call(r, ROOT, MANAGER, "BuildImage", "sa{sv}", REFERENCE, 1, "Target", "s", "nanos");
        assert_error(build, ERROR("ToolMissing"));
        assert_int_equal(fake_count_op(r, "nanos"), 0);
}

/* ---- BuildImage ---- */

static void test_build_image(void **state) {
        Rig *r = *state;
        g_autofree char *image = g_strdup_printf(ROOT "/image/%u/" HEX, r->uid);
        g_autoptr(sd_bus_message) first = NULL, second = NULL, linux_ = NULL, vm = NULL, gone = NULL, removed = NULL;

        first = rig_call(r, ROOT, MANAGER, "BuildImage", "sa{sv}", REFERENCE, 2, "Target", "s", "nanos", "Command", "as", 1, "one");
        assert_good(first);
        assert_job(r, 1, "done", "", "");
        assert_property(r, ROOT "/job/1", JOB, "Subject", image);
        assert_disks(r, 1);
        second = rig_call(r, ROOT, MANAGER, "BuildImage", "sa{sv}", "sha256:" HEX, 2, "Target", "s", "nanos", "Command", "as", 1, "one");
        assert_good(second);
        assert_job(r, 2, "done", "", "");
        vm = run_nanos(r, "one");
        assert_good(vm);
        assert_job(r, 3, "done", "", "");
        assert_int_equal(fake_count_op(r, "nanos"), 1);

        linux_ = rig_call(r, ROOT, MANAGER, "BuildImage", "sa{sv}", REFERENCE, 0);
        assert_good(linux_);
        assert_job(r, 4, "done", "", "");

        /* They go with their image. */
        end_web(r);
        removed = rig_call(r, WEB, VM, "Remove", "a{sv}", 0);
        assert_good(removed);
        until(r, trace_has(r, "VMRemoved web"));
        gone = rig_call(r, image, IMAGE, "Remove", "a{sv}", 0);
        assert_good(gone);
        assert_disks(r, 0);
}

static void test_build_image_refused(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) unknown = rig_call(r, ROOT, MANAGER, "BuildImage", "sa{sv}", "no:1", 0);
        g_autoptr(sd_bus_message) key = rig_call(r, ROOT, MANAGER, "BuildImage", "sa{sv}", REFERENCE, 1, "VCPUs", "u", 1);
        g_autoptr(sd_bus_message) kernel =
                rig_call(r, ROOT, MANAGER, "BuildImage", "sa{sv}", REFERENCE, 2, "Target", "s", "nanos", "Kernel", "s", "6");
        g_autoptr(sd_bus_message) network = rig_call(
                r, ROOT, MANAGER, "BuildImage", "sa{sv}", REFERENCE, 2, "Target", "s", "nanos", "Network", "s", "default");
        g_autoptr(sd_bus_message) name = rig_call(r, ROOT, MANAGER, "BuildImage", "sa{sv}", "../x", 0);

        assert_error(unknown, ERROR("NoSuchImage"));
        assert_error(key, ERROR("InvalidSpec"));
        assert_error(kernel, ERROR("InvalidSpec"));
        assert_error(network, ERROR("InvalidSpec"));
        assert_error(name, ERROR("InvalidSpec"));
        assert_disks(r, 0);
}

/* So many disks of one image that no VM has; the oldest goes. */
static void test_limit(void **state) {
        Rig *r = *state;

        for (unsigned i = 1; i <= 18; i++) {
                g_autofree char *argument = g_strdup_printf("%u", i);
                g_autoptr(sd_bus_message) reply = rig_call(
                        r, ROOT, MANAGER, "BuildImage", "sa{sv}", REFERENCE, 2, "Target", "s", "nanos", "Command", "as", 1, argument);

                assert_good(reply);
                assert_job(r, i, "done", "", "");
        }
        assert_disks(r, 16);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_made_once),
                TEST(test_changes),
                TEST(test_ready),
                TEST(test_probes),
                TEST(test_probes_canceled),
                TEST(test_no_probes),
                TEST(test_line),
                TEST(test_failure),
                TEST(test_worker_dies),
                TEST(test_cancel),
                TEST(test_no_tools),
                TEST(test_build_image),
                TEST(test_build_image_refused),
                TEST(test_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
