/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VM is given beside its image: credentials, volumes, disks. */
#include "rig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/fd.h"

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"
#define SECRET "xyzzy-plugh"

/* ---- Credentials ---- */

static void stop_web(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0);

        assert_good(reply);
}

static sd_bus_message *call_with(Rig *r, const char *method, const char *name, const char *value) {
        bool manager = strcmp(method, "Start") != 0 && strcmp(method, "Update") != 0;
        bool image = manager;
        sd_bus_message *m = rig_message(r, r->caller, manager ? ROOT : WEB, manager ? MANAGER : VM, method);
        g_autoptr(Pending) p = NULL;

        if (manager)
                assert_true(sd_bus_message_append(m, "s", "web") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        if (image)
                assert_true(sd_bus_message_append(m, "{sv}{sv}", "Image", "s", REFERENCE, "Accelerator", "s", "tcg") >= 0);
        assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        assert_true(sd_bus_message_append(m, "s", "Credentials") >= 0);
        assert_true(sd_bus_message_open_container(m, 'v', "a{say}") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{say}") >= 0);
        if (name) {
                assert_true(sd_bus_message_open_container(m, 'e', "say") >= 0);
                assert_true(sd_bus_message_append(m, "s", name) >= 0);
                assert_true(sd_bus_message_append_array(m, 'y', value, strlen(value)) >= 0);
                assert_true(sd_bus_message_close_container(m) >= 0);
        }
        for (int i = 0; i < 4; i++)
                assert_true(sd_bus_message_close_container(m) >= 0);
        p = rig_send_message(r, r->caller, m);
        until(r, p->reply);
        return sd_bus_message_ref(p->reply);
}

/* The bytes of the k-th descriptor that QEMU gets, -1 the last. */
static char *handed_over(FakeHelper *h, size_t *ret_len) {
        for (size_t i = 0; i < h->n_fds; i++) {
                g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", h->fds[i]), *target = g_file_read_link(link, NULL);
                char *text;

                if (!target || !strstr(target, "memfd:credentials"))
                        continue;
                assert_true(fcntl(h->fds[i], F_GET_SEALS) & F_SEAL_WRITE);
                assert_int_equal(read_file(h->fds[i], 4096, &text, ret_len), 0);
                return text;
        }
        return NULL;
}

static void assert_handed_over(Rig *r, const char *value) {
        g_autofree char *expected = g_strconcat("token", "?", "LEN4", value, NULL);
        size_t len = 0;
        char *got;

        until(r, fake_heard(fake_find(r, MONITOR), "launch"));
        got = handed_over(fake_find(r, MONITOR), &len);
        assert_non_null(got);
        assert_int_equal(len, strlen(expected));
        assert_string_equal(got, "token");
        assert_int_equal((unsigned char) got[6], strlen(value));
        assert_memory_equal(got + 10, value, strlen(value));
        free(got);
}

static void assert_nowhere(Rig *r) {
        static const char *const files[] = {"state/vms/web/meta.json", "daemon.log"};
        g_autoptr(sd_bus_message) spec = rig_call(r, WEB, VM, "GetSpec", NULL);
        g_autofree char *text = NULL;
        GString *out = g_string_new(NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                g_autofree char *file = rig_read(r, files[i]);

                assert_non_null(file);
                assert_null(strstr(file, SECRET));
        }
        assert_good(spec);
        append_value(out, spec);
        text = g_string_free(out, FALSE);
        assert_non_null(strstr(text, "token"));
        assert_null(strstr(text, SECRET));
}

static void test_credentials(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = call_with(r, "RunVM", "token", SECRET), start = NULL;

        assert_good(run);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_handed_over(r, SECRET);
        assert_nowhere(r);
        stop_web(r);
        until(r, trace_has(r, "JobRemoved 2 "));
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0); /* the daemon has them as long as it lives */
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 3 " ROOT "/job/3 done"));
        assert_handed_over(r, SECRET);
}

/* Without systemd's store they are gone with the daemon: said by name, and what is given anew is taken. */
/* systemd keeps them for the next daemon. */
static void test_credentials_kept(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) created = call_with(r, "CreateVM", "token", SECRET), start = NULL;

        assert_good(created);
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        assert_nowhere(r);
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_handed_over(r, SECRET);
}

static void test_credentials_gone(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) created = call_with(r, "CreateVM", "token", SECRET), start = NULL, other = NULL, less = NULL,
                                  again = NULL;

        assert_good(created);
        assert_nowhere(r);
        rig_stop_daemon(r, SIGTERM);
        fake_fd_store_forget(r);
        rig_start_daemon(r);
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_error(start, ERROR("CredentialsMissing"));
        assert_non_null(strstr(sd_bus_message_get_error(start)->message, "token"));
        assert_property(r, WEB, VM, "State", "created");
        other = call_with(r, "Start", "other", SECRET);
        assert_error(other, ERROR("InvalidSpec"));
        less = call_with(r, "Start", NULL, NULL);
        assert_error(less, ERROR("InvalidSpec"));
        again = call_with(r, "Start", "token", "new " SECRET);
        assert_good(again);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_handed_over(r, "new " SECRET);
}

static void test_credentials_update(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) created = call_with(r, "CreateVM", "old", "1"), other = NULL, memory = NULL, start = NULL,
                                  none = NULL;

        assert_good(created);
        other = call_with(r, "Update", "token", SECRET);
        assert_good(other);
        memory = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "MemoryMiB", "u", 128); /* leaves them alone */
        assert_good(memory);
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_handed_over(r, SECRET);
        assert_nowhere(r);
        stop_web(r);
        until(r, trace_has(r, "JobRemoved 2 "));
        none = call_with(r, "Update", NULL, NULL);
        assert_good(none);
        sd_bus_message_unref(rig_call(r, WEB, VM, "Start", "a{sv}", 0));
        until(r, trace_has(r, "JobRemoved 3 " ROOT "/job/3 done"));
        assert_null(handed_over(fake_find(r, MONITOR), NULL));
}

static void test_credentials_refused(void **state) {
        Rig *r = *state;
        g_autofree char *large = g_strnfill(65537, 's');
        g_autoptr(sd_bus_message) empty = call_with(r, "RunVM", "token", ""), slash = call_with(r, "RunVM", "../token", SECRET),
                                  huge = call_with(r, "RunVM", "token", large);

        assert_error(empty, ERROR("InvalidSpec"));
        assert_error(slash, ERROR("InvalidSpec"));
        assert_error(huge, ERROR("InvalidSpec"));
        assert_null(strstr(sd_bus_message_get_error(slash)->message, SECRET));
        assert_property(r, ROOT, MANAGER, "VMCount", "0");
}

/* ---- Volumes ---- */

#define VOLUMES "state/vms/web/volumes.squashfs"

static sd_bus_message *run_with_volume(Rig *r, const char *method) {
        g_autofree char *path = rig_path(r, "srv/a"), *volume = g_strconcat(path, ":/b", NULL);

        return rig_call(r, ROOT, MANAGER, method, "sa{sv}", "web", 3, "Image", "s", REFERENCE, "Accelerator", "s", "tcg", "Volumes",
                "as", 1, volume);
}

static FakeHelper *worker_with_op(Rig *r, const char *op) {
        for (guint i = r->helpers->len; i > 0; i--) {
                FakeHelper *h = r->helpers->pdata[i - 1];

                if (h->kind == KIND_WORKER && h->launch &&
                        g_strcmp0(json_string_value(json_object_get(h->launch, "op")), op) == 0)
                        return h;
        }
        return NULL;
}

/* Made at the first start by a worker that is told path and roots; asked for; kept; made anew when asked or changed. */
static void test_volumes(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = run_with_volume(r, "RunVM"), stop = NULL, start = NULL, again = NULL,
                                  update = NULL;
        g_autofree char *path = rig_path(r, "srv/a");
        FakeHelper *first;
        bool asked = false;

        assert_good(run);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        for (guint i = 0; i < r->questions->len; i++)
                asked |= strcmp(((Question *) r->questions->pdata[i])->action, "org.mcp.Runtime1.use-host-path") == 0;
        assert_true(asked);
        first = worker_with_op(r, "volumes");
        assert_non_null(first);
        assert_string_equal(json_string_value(json_array_get(json_object_get(first->launch, "paths"), 0)), path);
        assert_non_null(json_array_get(json_object_get(first->launch, "roots"), 0));
        assert_true(rig_has(r, VOLUMES));
        until(r, rig_count_temporaries(r) == 0);

        stop = rig_call(r, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0);
        until(r, trace_has(r, "JobRemoved 2 "));
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        until(r, trace_has(r, "JobRemoved 3 "));
        assert_ptr_equal(worker_with_op(r, "volumes"), first);

        stop_web(r);
        until(r, trace_has(r, "JobRemoved 4 "));
        again = rig_call(r, WEB, VM, "Start", "a{sv}", 1, "RefreshVolumes", "b", 1);
        assert_good(again);
        until(r, trace_has(r, "JobRemoved 5 "));
        assert_ptr_not_equal(worker_with_op(r, "volumes"), first);
        assert_string_equal(fake_polkit_last(r)->action, "org.mcp.Runtime1.use-host-path");

        stop_web(r);
        until(r, trace_has(r, "JobRemoved 6 "));
        update = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "Volumes", "as", 0);
        assert_good(update);
        assert_false(rig_has(r, VOLUMES));
}

/* The daemon dies while the worker writes: nothing half is there when the next one has begun. */
static void test_volumes_interrupted(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = NULL, start = NULL;

        r->play[KIND_WORKER] = play_nothing;
        run = run_with_volume(r, "RunVM");
        assert_good(run);
        until(r, worker_with_op(r, "volumes"));
        assert_int_equal(rig_count_temporaries(r), 1);
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        until(r, rig_count_temporaries(r) == 0);
        assert_false(rig_has(r, VOLUMES));
        assert_property(r, WEB, VM, "State", "created");
        r->play[KIND_WORKER] = play_worker;
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 2 " ROOT "/job/2 done"));
        assert_true(rig_has(r, VOLUMES));
}

static void test_volumes_canceled(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = NULL, cancel = NULL;

        r->play[KIND_WORKER] = play_nothing;
        run = run_with_volume(r, "RunVM");
        until(r, worker_with_op(r, "volumes"));
        cancel = rig_call(r, ROOT "/job/1", JOB, "Cancel", NULL);
        assert_good(cancel);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 canceled"));
        until(r, rig_count_temporaries(r) == 0);
        assert_property(r, WEB, VM, "State", "stopped");
}

static sd_bus_message *call_archive(Rig *r, const char *method, int fd) {
        sd_bus_message *m = rig_message(r, r->caller, ROOT, MANAGER, method);
        g_autoptr(Pending) p = NULL;

        assert_true(sd_bus_message_append(m, "s", "web") >= 0);
        assert_true(sd_bus_message_append(m, "a{sv}", 3, "Image", "s", REFERENCE, "Accelerator", "s", "tcg", "VolumeArchives", "a(sh)",
                            1, "/data", fd) >= 0);
        p = rig_send_message(r, r->caller, m);
        until(r, p->reply);
        return sd_bus_message_ref(p->reply);
}

/* The caller's descriptor goes to the worker, once; only RunVM takes it. */
static void test_archives(void **state) {
        Rig *r = *state;
        _cleanup_close_ int tar = memfd_sealed("tar", "a tar", 5), path = open("/", O_PATH | O_CLOEXEC);
        g_autoptr(sd_bus_message) create = call_archive(r, "CreateVM", tar), bad = call_archive(r, "RunVM", path), run = NULL,
                                  start = NULL;
        char *text;

        assert_error(create, ERROR("InvalidSpec"));
        assert_error(bad, ERROR("InvalidSpec"));
        r->play[KIND_WORKER] = play_nothing;
        run = call_archive(r, "RunVM", tar);
        assert_good(run);
        until(r, worker_with_op(r, "volumes"));
        assert_int_equal(read_file(fake_fd(worker_with_op(r, "volumes"), "archive0"), 10, &text, NULL), 0);
        assert_string_equal(text, "a tar");
        free(text);
        r->play[KIND_WORKER] = play_worker;
        play_worker(worker_with_op(r, "volumes"), worker_with_op(r, "volumes")->launch);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        assert_true(rig_has(r, "state/vms/web/archives.squashfs"));
        stop_web(r);
        until(r, trace_has(r, "JobRemoved 2 "));
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 3 " ROOT "/job/3 done"));
}

static void test_archives_lost(void **state) {
        Rig *r = *state;
        _cleanup_close_ int tar = memfd_sealed("tar", "a tar", 5);
        g_autoptr(sd_bus_message) run = NULL, start = NULL;

        r->play[KIND_WORKER] = play_nothing;
        run = call_archive(r, "RunVM", tar);
        until(r, worker_with_op(r, "volumes"));
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        assert_good(start);
        until(r, trace_has(r, "JobRemoved 2 " ROOT "/job/2 failed " ERROR("NotSupported")));
}

/* ---- Disks ---- */

#define DISK "state/disks/%u/%s.img"
#define MIB (1024ULL * 1024ULL)

static bool has_disk(Rig *r, const char *name) {
        g_autofree char *path = g_strdup_printf(DISK, r->uid, name);

        return rig_has(r, path);
}

static sd_bus_message *with_disk(Rig *r, const char *method, const char *vm, uint64_t bytes, const char *name) {
        return rig_call(r, ROOT, MANAGER, method, "sa{sv}", vm, 3, "Image", "s", REFERENCE, "Accelerator", "s", "tcg", "Disks",
                "a(sts)", 1, "/data", bytes, name);
}

static char *listed_disks(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "ListDisks", "a{sv}", 0);
        GString *out = g_string_new(NULL);

        assert_good(reply);
        append_value(out, reply);
        return g_string_free(out, FALSE);
}

/* Made by a worker of its full size, handed to QEMU, one VM's at a time, gone with it or kept, and attached again. */
static void test_disks(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = with_disk(r, "RunVM", "web", 16 * MIB, "db"), other = NULL, in_use = NULL, keep = NULL,
                                  size = NULL, unknown = NULL, again = NULL, removed = NULL, gone = NULL;
        g_autofree char *with_vm = NULL, *kept = NULL, *none = NULL;
        FakeHelper *worker;

        assert_good(run);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        worker = worker_with_op(r, "format");
        assert_non_null(worker);
        assert_non_null(json_object_get(worker->launch, "mkfs"));
        assert_true(has_disk(r, "db"));
        until(r, rig_count_temporaries(r) == 0);
        with_vm = listed_disks(r);
        assert_non_null(strstr(with_vm, "web"));
        assert_non_null(strstr(with_vm, "16777216"));
        other = with_disk(r, "CreateVM", "two", 0, "db");
        assert_error(other, ERROR("DiskInUse"));
        in_use = rig_call(r, ROOT, MANAGER, "RemoveDisk", "sa{sv}", "db", 0);
        assert_error(in_use, ERROR("DiskInUse"));

        keep = rig_call(r, WEB, VM, "Remove", "a{sv}", 1, "KeepDisks", "b", 1);
        assert_good(keep);
        until(r, trace_has(r, "JobRemoved 2 "));
        assert_true(has_disk(r, "db"));
        kept = listed_disks(r);
        assert_non_null(strstr(kept, "db"));
        assert_null(strstr(kept, "web"));
        size = with_disk(r, "CreateVM", "web", 32 * MIB, "db");
        assert_error(size, ERROR("InvalidSpec"));
        unknown = with_disk(r, "CreateVM", "web", 0, "nothing");
        assert_error(unknown, ERROR("InvalidSpec"));
        again = with_disk(r, "RunVM", "web", 0, "db");
        assert_good(again);
        until(r, trace_has(r, "JobRemoved 3 " ROOT "/job/3 done"));
        assert_ptr_equal(worker_with_op(r, "format"), worker); /* nothing was made */
        removed = rig_call(r, WEB, VM, "Remove", "a{sv}", 0);
        assert_good(removed);
        until(r, trace_has(r, "JobRemoved 4 "));
        assert_false(has_disk(r, "db"));
        none = listed_disks(r);
        assert_null(strstr(none, "db"));
        gone = rig_call(r, ROOT, MANAGER, "RemoveDisk", "sa{sv}", "db", 0);
        assert_error(gone, ERROR("NoSuchDisk"));
}

/* A disk that a spec no longer names is kept, and can be removed. */
static void test_disk_dropped(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = with_disk(r, "RunVM", "web", 16 * MIB, "db"), update = NULL, removed = NULL, path = NULL;

        assert_good(run);
        until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 done"));
        stop_web(r);
        until(r, trace_has(r, "JobRemoved 2 "));
        update = rig_call(r, WEB, VM, "Update", "a{sv}", 1, "Disks", "a(sts)", 0);
        assert_good(update);
        assert_true(has_disk(r, "db"));
        removed = rig_call(r, ROOT, MANAGER, "RemoveDisk", "sa{sv}", "db", 0);
        assert_good(removed);
        assert_false(has_disk(r, "db"));
        path = rig_call(r, ROOT, MANAGER, "RemoveDisk", "sa{sv}", "../../vms/web/meta", 0);
        assert_error(path, ERROR("NoSuchDisk"));
}

/* The daemon dies while it is formatted: no disk, no half of one. */
static void test_disk_interrupted(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) run = NULL;

        r->play[KIND_WORKER] = play_nothing;
        run = with_disk(r, "RunVM", "web", 16 * MIB, "db");
        until(r, worker_with_op(r, "format"));
        assert_int_equal(rig_count_temporaries(r), 1);
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        until(r, rig_count_temporaries(r) == 0);
        assert_false(has_disk(r, "db"));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_credentials, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_credentials_kept, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_credentials_gone, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_credentials_update, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_credentials_refused, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_volumes, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_volumes_interrupted, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_volumes_canceled, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_archives, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_archives_lost, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_disks, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_disk_dropped, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_disk_interrupted, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
