/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is found on disk at the start: broken records are shown and can be removed, the others work. */
#include "rig.h"

#include <sys/stat.h>
#include <unistd.h>

#define WEB ROOT "/vm/web"

/* A whole record of a VM that was created once. */
static char *good_record(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);

        assert_good(reply);
        return rig_read(r, "state/vms/web/meta.json");
}

static char *replaced(const char *text, const char *what, const char *with) {
        g_auto(GStrv) parts = g_strsplit(text, what, 2);

        if (g_strv_length(parts) != 2)
                fail_msg("the record has no %s: %s", what, text);
        return g_strjoinv(with, parts);
}

/* A path of the bus: escaped as sd_bus_path_encode() does. */
static char *path_of(const char *name) {
        char *path = NULL, *result;

        assert_true(sd_bus_path_encode(ROOT "/vm", name, &path) >= 0);
        result = g_strdup(path);
        free(path);
        return result;
}

static void assert_broken(Rig *r, const char *name) {
        g_autofree char *path = path_of(name), *reason = rig_get(r, path, VM, "StateReason"), *dir = g_strconcat("state/vms/", name, NULL);
        g_autoptr(sd_bus_message) start = NULL, spec = NULL, describe = NULL, log = NULL, all = NULL, removed = NULL;

        assert_property(r, path, VM, "State", "failed");
        assert_true(*reason != 0);
        all = rig_call(r, path, "org.freedesktop.DBus.Properties", "GetAll", "s", VM);
        assert_good(all);
        start = rig_call(r, path, VM, "Start", "a{sv}", 0);
        assert_error(start, ERROR("NotSupported"));
        spec = rig_call(r, path, VM, "GetSpec", NULL);
        assert_error(spec, ERROR("NotSupported"));
        describe = rig_call(r, path, VM, "DescribeCommand", NULL);
        assert_error(describe, ERROR("NotSupported"));
        log = rig_call(r, path, VM, "ReadLog", "tu", (uint64_t) 0, 0);
        assert_good(log);
        removed = rig_call(r, path, VM, "Remove", "a{sv}", 0);
        assert_good(removed);
        rig_settle(r);
        assert_false(rig_has(r, dir));
}

static void test_broken(void **state) {
        static const struct {
                const char *what, *with;
        } changes[] = {
                {"\"version\": 1", "\"version\": 2"},
                {"\"version\": 1", "\"version\": \"1\""},
                {"\"name\": \"web\"", "\"name\": \"other\""},
                {"\"name\": \"web\"", "\"name\": \"../../etc\""},
                {"\"state\": \"created\"", "\"state\": \"happy\""},
                {"\"boot_id\": 0", "\"boot_id\": -1"},
                {"\"boot_id\": 0", "\"boot_id\": 4294967296"},
                {"{", "[{"},
                {"}", ""},
        };
        Rig *r = *state;
        g_autofree char *record = good_record(r);

        for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
                g_autofree char *text = replaced(record, changes[i].what, changes[i].with);
                g_autofree char *name = g_strdup_printf("state/vms/web/meta.json");

                rig_stop_daemon(r, SIGTERM);
                rig_write(r, "state/vms/good/other", ""); /* a directory without a record */
                rig_write(r, "state/vms/half/.tmp-0123", "{"); /* nor is this, but nobody was told of it */
                rig_write(r, name, text);
                rig_start_daemon(r);
                assert_property(r, ROOT, MANAGER, "VMCount", "2");
                assert_broken(r, "web");
                assert_broken(r, "good");
                assert_property(r, ROOT, MANAGER, "VMCount", "0");
        }
}

static void test_unreadable(void **state) {
        static const char *const texts[] = {"", "null", "{}", "\xff\xfe\xfd", "{\"name\":\"web\",\"name\":\"web\"}"};
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                rig_stop_daemon(r, SIGTERM);
                rig_write(r, "state/vms/web/meta.json", texts[i]);
                rig_start_daemon(r);
                assert_broken(r, "web");
        }
}

/* Deep nesting and megabytes are no way to end the daemon. */
static void test_monstrous(void **state) {
        Rig *r = *state;
        g_autofree char *deep = g_strnfill(500000, '['), *large = g_strnfill(4 * 1024 * 1024, ' ');

        rig_stop_daemon(r, SIGTERM);
        rig_write(r, "state/vms/deep/meta.json", deep);
        rig_write(r, "state/vms/large/meta.json", large);
        rig_write(r, "state/cache/kvm.json", deep);
        rig_start_daemon(r);
        assert_broken(r, "deep");
        assert_broken(r, "large");
}

/* A link or a pipe in the place of a record: neither followed nor waited for. */
static void test_links(void **state) {
        Rig *r = *state;
        g_autofree char *link = rig_path(r, "state/vms/link/meta.json"), *fifo = rig_path(r, "state/vms/fifo/meta.json");
        g_autofree char *record = good_record(r);

        rig_stop_daemon(r, SIGTERM);
        rig_write(r, "elsewhere", record);
        rig_write(r, "state/vms/link/other", "");
        rig_write(r, "state/vms/fifo/other", "");
        assert_int_equal(symlink("../../../elsewhere", link), 0);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        rig_start_daemon(r);
        assert_broken(r, "link");
        assert_broken(r, "fifo");
        assert_true(rig_has(r, "elsewhere"));
        assert_property(r, WEB, VM, "State", "created");
}

#define MANY 300U

/* VMs vm-000 and so on, as a daemon before has left them; every 50th broken where that is asked for. */
static void write_many(Rig *r, bool some_broken) {
        g_autofree char *record = good_record(r);

        rig_stop_daemon(r, SIGTERM);
        for (unsigned i = 0; i < MANY; i++) {
                g_autofree char *name = g_strdup_printf("vm-%03u", i), *file = g_strdup_printf("state/vms/%s/meta.json", name);
                g_autofree char *named = g_strdup_printf("\"name\": \"%s\"", name), *unit = g_strdup_printf("\"unit\": \"%s\"", name);
                g_autofree char *memory = g_strdup_printf("\"memory_mb\": %u", 64 + i);
                g_autofree char *one = replaced(record, "\"name\": \"web\"", named), *two = replaced(one, "\"unit\": \"web\"", unit);
                g_autofree char *three = replaced(two, "\"memory_mb\": 256", memory);

                rig_write(r, file, some_broken && i % 50 == 7 ? "{" : three);
        }
}

/* So many that several threads read them: each VM is what its own record says, and the first answer knows all of them. */
static void test_many(void **state) {
        Rig *r = *state;

        write_many(r, true);
        rig_start_daemon(r);
        assert_property(r, ROOT, MANAGER, "VMCount", "301");
        for (unsigned i = 0; i < MANY; i++) {
                g_autofree char *name = g_strdup_printf("vm-%03u", i), *path = path_of(name), *memory = g_strdup_printf("%u", 64 + i);

                if (i % 50 == 7) {
                        assert_broken(r, name);
                        continue;
                }
                assert_property(r, path, VM, "State", "created");
                assert_property(r, path, VM, "MemoryMiB", memory);
        }
        assert_property(r, ROOT, MANAGER, "VMCount", "295");
}

static bool all_noted(Rig *r, const char *host_boot) {
        for (unsigned i = 0; i < MANY; i++) {
                g_autofree char *file = g_strdup_printf("state/vms/vm-%03u/meta.json", i), *text = rig_read(r, file);

                if (!strstr(text, host_boot))
                        return false;
        }
        return true;
}

/* A new boot of the host is noted in every record, behind the first answers, by this daemon or by the one after its death. */
static void test_host_restarted(void **state) {
        Rig *r = *state;

        write_many(r, false);
        r->host_boot[0] = '6';
        rig_start_daemon(r);
        assert_property(r, ROOT, MANAGER, "VMCount", "301");
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        assert_property(r, ROOT, MANAGER, "VMCount", "301");
        until(r, all_noted(r, r->host_boot));
        r->host_boot[0] = '7';
        rig_stop_daemon(r, SIGTERM);
        rig_start_daemon(r);
        rig_stop_daemon(r, SIGTERM); /* which writes what is still to be written */
        assert_true(all_noted(r, r->host_boot));
        rig_start_daemon(r);
}

/* The same unit twice: one works, the other one is broken, whichever. */
static void test_same_unit(void **state) {
        Rig *r = *state;
        g_autofree char *record = good_record(r), *other = replaced(record, "\"name\": \"web\"", "\"name\": \"web2\"");
        g_autofree char *web = NULL, *web2 = NULL;

        rig_stop_daemon(r, SIGTERM);
        rig_write(r, "state/vms/web2/meta.json", other);
        rig_start_daemon(r);
        web = rig_get(r, WEB, VM, "State");
        web2 = rig_get(r, ROOT "/vm/web2", VM, "State");
        assert_true((strcmp(web, "failed") == 0) != (strcmp(web2, "failed") == 0));
}

static void test_broken_images(void **state) {
        static const char *const names[] = {HEX2 ".json", "notahash.json", "../x.json", HEX ".json.bak"};
        Rig *r = *state;

        rig_stop_daemon(r, SIGTERM);
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                g_autofree char *name = g_strdup_printf("state/images/%u/%s", r->uid, names[i]);

                if (!strchr(names[i], '/'))
                        rig_write(r, name, i == 1 ? "{\"references\":[]}" : "{");
        }
        rig_start_daemon(r);
        {
                g_autoptr(sd_bus_message) list = rig_call(r, ROOT, MANAGER, "ListImages", "a{sv}", 0);
                g_autoptr(GString) text = g_string_new(NULL);

                assert_good(list);
                append_value(text, list);
                assert_non_null(strstr(text->str, HEX));
                assert_null(strstr(text->str, "notahash"));
        }
}

/* The image is gone, the VM is not: it can be seen, not started, and removed. */
static void test_image_gone(void **state) {
        Rig *r = *state;
        g_autofree char *json = g_strdup_printf("state/images/%u/" HEX ".json", r->uid), *path = rig_path(r, json);
        g_autoptr(sd_bus_message) start = NULL, removed = NULL;

        g_free(good_record(r));
        rig_stop_daemon(r, SIGTERM);
        assert_int_equal(unlink(path), 0);
        rig_start_daemon(r);
        assert_property(r, WEB, VM, "State", "created");
        start = rig_call(r, WEB, VM, "Start", "a{sv}", 0);
        if (!*reply_error(start)) {
                until(r, trace_has(r, "JobRemoved 1 " ROOT "/job/1 failed"));
                assert_true(trace_has(r, "JobRemoved 1 " ROOT "/job/1 failed " ERROR("NoSuchImage")));
        } else
                assert_error(start, ERROR("NoSuchImage"));
        removed = rig_call(r, WEB, VM, "Remove", "a{sv}", 0);
        assert_good(removed);
        rig_settle(r);
        assert_false(rig_has(r, "state/vms/web"));
}

/* A record holds all that a VM at rest shows. */
static void test_all_properties_again(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) before = NULL, after = NULL;
        g_autoptr(GString) one = g_string_new(NULL), two = g_string_new(NULL);

        g_free(good_record(r));
        before = rig_call(r, WEB, "org.freedesktop.DBus.Properties", "GetAll", "s", VM);
        append_value(one, before);
        rig_stop_daemon(r, SIGKILL);
        rig_start_daemon(r);
        after = rig_call(r, WEB, "org.freedesktop.DBus.Properties", "GetAll", "s", VM);
        append_value(two, after);
        assert_string_equal(one->str, two->str);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_broken, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_unreadable, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_monstrous, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_links, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_many, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_host_restarted, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_same_unit, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_broken_images, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_image_gone, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_all_properties_again, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
