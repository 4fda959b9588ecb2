/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls of the daemon on its state that fail: each of a whole life of a VM and an image, one after the other, with each error.
 * Whatever fails, the daemon answers, the errors have names, and one Reconcile later disk and objects are the same again. */
#include "rig.h"

#include <errno.h>

#include "faults.h"

#define WEB ROOT "/vm/web"

static struct faults *faults;

static int setup(void **state) {
        g_autofree char *path = NULL, *prefix = NULL;
        Rig *r;

        (void) rig_setup_without_daemon(state);
        r = *state;
        path = rig_path(r, "faults");
        prefix = rig_path(r, "state/");
        faults = faults_new(path, prefix);
        r->preload = FAULT_PRELOAD;
        r->faults = g_steal_pointer(&path);
        rig_start_daemon(r);
        return 0;
}

static int teardown(void **state) {
        int r = rig_teardown(state);

        faults_free(faults);
        return r;
}

/* ---- A life ---- */

static bool jobs_are_over(Rig *r) {
        g_autofree char *count = rig_get(r, ROOT, MANAGER, "JobCount");

        return strcmp(count, "0") == 0;
}

/* Calls, and waits for what it begins; an error must be one of ours. */
static bool does(Rig *r, sd_bus_message *m) {
        g_autoptr(Pending) p = rig_send_message(r, r->caller, m);
        const char *error;

        until(r, p->reply);
        error = reply_error(p->reply);
        if (*error && !g_str_has_prefix(error, ERROR("")))
                fail_msg("%s: %s", error, sd_bus_message_get_error(p->reply)->message);
        until(r, jobs_are_over(r));
        return *error == 0;
}

static sd_bus_message *message(Rig *r, const char *path, const char *interface, const char *member, const char *types, ...) {
        sd_bus_message *m = rig_message(r, r->caller, path, interface, member);
        va_list ap;

        va_start(ap, types);
        assert_true(sd_bus_message_appendv(m, types, ap) >= 0);
        va_end(ap);
        return m;
}

static void live(Rig *r) {
        g_autofree char *program = rig_path(r, "srv/program");

        (void) does(r, message(r, ROOT, MANAGER, "ImportImageFile", "ssa{sv}", "other:1", program, 0));
        if (does(r, message(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "Accelerator", "s", "tcg"))) {
                (void) does(r, message(r, WEB, VM, "Start", "a{sv}", 0));
                (void) does(r, message(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0));
                (void) does(r, message(r, WEB, VM, "Remove", "a{sv}", 0));
        }
}

static char *other_image(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "GetImage", "s", "other:1");
        const char *path;

        return *reply_error(reply) == 0 && sd_bus_message_read(reply, "o", &path) >= 0 ? g_strdup(path) : NULL;
}

/* With nothing failing any more. */
static void clear_up(Rig *r) {
        g_autoptr(sd_bus_message) reconciled = NULL;
        g_autofree char *image = NULL, *web = rig_get(r, WEB, VM, "State");

        if (strcmp(web, "running") == 0)
                assert_true(does(r, message(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0)));
        if (!strchr(web, '.'))
                assert_true(does(r, message(r, WEB, VM, "Remove", "a{sv}", 0)));
        image = other_image(r);
        if (image)
                assert_true(does(r, message(r, image, IMAGE, "Remove", "a{sv}", 0)));
        reconciled = rig_call(r, ROOT, MANAGER, "Reconcile", "a{sv}", 0);
        assert_good(reconciled);
        until(r, rig_count_temporaries(r) == 0);
        assert_false(rig_has(r, "state/vms/web"));
        {
                g_autofree char *file = g_strdup_printf("state/images/%u/" HEX2 ".squashfs", r->uid);

                assert_false(rig_has(r, file));
        }
}

static void walk(Rig *r, enum fault_call call, const char *name, int error) {
        int n = 0;

        do {
                faults_arm(faults, call, error, ++n, false);
                live(r);
                faults_disarm(faults);
                clear_up(r);
        } while (faults->fired);
        print_message("%s: each of %d calls failed once with %s\n", name, n - 1, g_strerror(error));
        assert_true(n > 1);
        rig_stop_daemon(r, SIGTERM); /* what is on disk is whole */
        rig_start_daemon(r);
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
        clear_up(r);
}

static void test_open(void **state) {
        walk(*state, FAULT_OPEN, "open", EMFILE);
        walk(*state, FAULT_OPEN, "open", EIO);
}

static void test_create(void **state) {
        walk(*state, FAULT_CREATE, "create", ENOSPC);
        walk(*state, FAULT_CREATE, "create", EMFILE);
}

static void test_write(void **state) {
        walk(*state, FAULT_WRITE, "write", ENOSPC);
        walk(*state, FAULT_WRITE, "write", EIO);
}

static void test_fsync(void **state) {
        walk(*state, FAULT_FSYNC, "fsync", EIO);
        walk(*state, FAULT_FSYNC, "fsync", ENOSPC);
}

static void test_rename(void **state) {
        walk(*state, FAULT_RENAME, "rename", EIO);
        walk(*state, FAULT_RENAME, "rename", ENOSPC);
}

static void test_unlink(void **state) {
        walk(*state, FAULT_UNLINK, "unlink", EIO);
}

static void test_descriptors(void **state) {
        walk(*state, FAULT_DESCRIPTOR, "memfd, socketpair, accept", EMFILE);
}

/* ---- A disk that is full ---- */

static void test_full_disk(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) create = NULL, refused = NULL;

        create = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "Accelerator", "s", "tcg");
        assert_good(create);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        faults_arm(faults, FAULT_WRITE, ENOSPC, 1, true);
        refused = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "other", 1, "Image", "s", REFERENCE);
        assert_error(refused, ERROR("NoSpace"));
        assert_property(r, ROOT, MANAGER, "VMCount", "1");
        assert_true(does(r, message(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 1000000, 0)));
        assert_property(r, WEB, VM, "State", "stopped");
        trace_clear(r);
        (void) does(r, message(r, WEB, VM, "Start", "a{sv}", 0));
        assert_false(trace_has(r, "changed /vm/web State=running"));
        assert_true(does(r, message(r, WEB, VM, "Remove", "a{sv}", 0)));
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
        assert_false(rig_has(r, "state/vms/web"));
        assert_int_equal(unit_runs(r, "mcp-vm@web.service"), 0);
        faults_disarm(faults);
        clear_up(r);
}

/* What could not be written is written by Reconcile, once there is room. */
static void test_room_again(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) create = NULL, reconciled = NULL;
        uint32_t repaired = 0;

        create = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 2, "Image", "s", REFERENCE, "Accelerator", "s", "tcg");
        assert_good(create);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        faults_arm(faults, FAULT_WRITE, ENOSPC, 1, true);
        fake_exited(fake_find(r, "mcp-vm@web.service"), "guest-exit", 3);
        until(r, trace_has(r, "changed /vm/web State=stopped"));
        rig_settle(r);
        faults_disarm(faults);
        reconciled = rig_call(r, ROOT, MANAGER, "Reconcile", "a{sv}", 0);
        assert_good(reconciled);
        assert_true(sd_bus_message_read(reconciled, "u", &repaired) >= 0);
        if (repaired != 1)
                rig_dump(r);
        assert_int_equal(repaired, 1);
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        assert_property(r, WEB, VM, "State", "stopped");
        assert_property(r, WEB, VM, "ExitCode", "3");
        clear_up(r);
}

/* ---- The clock ---- */

#define YEAR (365 * 24 * 3600)

/* The host's clock jumps: nothing is lost, nothing ends, nobody waits for a year. */
static void test_clock(void **state) {
        static const int64_t offsets[] = {YEAR, -YEAR, 0};
        Rig *r = *state;
        g_autoptr(sd_bus_message) create = NULL;

        create = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 3, "Image", "s", REFERENCE, "Accelerator", "s", "tcg", "Restart", "s",
                "always");
        assert_good(create);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        for (size_t i = 0; i < G_N_ELEMENTS(offsets); i++) {
                FakeHelper *before = fake_find(r, "mcp-vm@web.service");

                faults->realtime_offset = offsets[i];
                rig_settle(r);
                assert_property(r, WEB, VM, "State", "running");
                assert_property(r, ROOT "/job/1", JOB, "State", "done"); /* its minute is not over */
                /* A restart by policy comes after its delay, not after a year. */
                trace_clear(r);
                fake_exited(before, "crashed", 1);
                until(r, fake_find(r, "mcp-vm@web.service") != before && trace_has(r, "changed /vm/web Ready=true"));
                assert_true(does(r, message(r, WEB, VM, "Pause", "")));
                assert_true(does(r, message(r, WEB, VM, "Resume", "")));
        }
        assert_true(does(r, message(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 1000000, 0)));
        assert_property(r, WEB, VM, "State", "stopped");
        clear_up(r);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_open, setup, teardown),
                cmocka_unit_test_setup_teardown(test_create, setup, teardown),
                cmocka_unit_test_setup_teardown(test_write, setup, teardown),
                cmocka_unit_test_setup_teardown(test_fsync, setup, teardown),
                cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unlink, setup, teardown),
                cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
                cmocka_unit_test_setup_teardown(test_room_again, setup, teardown),
                cmocka_unit_test_setup_teardown(test_clock, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
