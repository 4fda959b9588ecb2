/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long a new daemon takes to its first answer with 1,000 VMs, beside a trivial sd-bus service that reads the same files; and
 * how long the end of a VM takes to a subscriber, beside a bare round trip on the same bus. */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/fd.h"
#include "table.h"

#define VMS 1000U
#define RESTARTS 15U /* the median of few says more of the moment than of the daemon */
#define ENDS 60U
#define TRIVIAL "org.freedesktop.PolicyKit1" /* a name that the rig's bus lets anybody own */
#define WEB ROOT "/vm/web"

/* ---- The trivial service ---- */

static int on_ping(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable trivial_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Ask", "", "", on_ping, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static void read_all(const char *path) {
        DIR *vms = opendir(path);
        struct dirent *e;

        while (vms && (e = readdir(vms))) {
                g_autofree char *name = g_strdup_printf("%s/%s/meta.json", path, e->d_name);
                _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
                char *text = NULL;

                if (fd >= 0 && read_file(fd, 1 << 20, &text, NULL) >= 0)
                        free(text);
        }
        if (vms)
                (void) closedir(vms);
}

/* This program again, as "--trivial ADDRESS DIRECTORY". */
static int serve_trivial(const char *address, const char *directory) {
        sd_bus *bus = NULL;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        read_all(directory);
        if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, address) < 0 || sd_bus_set_bus_client(bus, true) < 0 || sd_bus_start(bus) < 0 ||
                sd_bus_add_object_vtable(bus, NULL, "/trivial", "org.example.Trivial", trivial_vtable, NULL) < 0 ||
                sd_bus_request_name(bus, TRIVIAL, 0) < 0)
                return 1;
        for (;;) {
                int r = sd_bus_process(bus, NULL);

                if (r < 0 || (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0))
                        return 1;
        }
}

/* ---- Restart ---- */

static bool answers(sd_bus *bus, const char *name, const char *path, const char *interface, const char *member) {
        return sd_bus_call_method(bus, name, path, interface, member, NULL, NULL, NULL) >= 0;
}

static sd_bus *plain_connection(const char *address) {
        sd_bus *bus = NULL;

        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_address(bus, address) >= 0);
        assert_true(sd_bus_set_bus_client(bus, true) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        return bus;
}

static uint64_t time_trivial(Rig *r, sd_bus *bus) {
        g_autofree char *vms = rig_path(r, "state/vms");
        uint64_t begin = now_monotonic(), took;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                (void) execl("/proc/self/exe", "bench-lifecycle", "--trivial", r->address, vms, NULL);
                _exit(127);
        }
        while (!answers(bus, TRIVIAL, "/trivial", "org.example.Trivial", "Ask"))
                (void) usleep(500);
        took = now_monotonic() - begin;
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
        while (answers(bus, TRIVIAL, "/trivial", "org.example.Trivial", "Ask"))
                (void) usleep(500);
        return took;
}

/* All objects with all their properties. */
static void ask_all(sd_bus *bus) {
        g_autoptr(sd_bus_message) reply = NULL;
        unsigned n = 0;

        assert_true(sd_bus_call_method(bus, NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL, &reply, NULL) >= 0);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}") >= 0);
        while (sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}") > 0) {
                const char *path = NULL;

                assert_true(sd_bus_message_read(reply, "o", &path) >= 0);
                n += g_str_has_prefix(path, ROOT "/vm/");
                assert_true(sd_bus_message_skip(reply, "a{sa{sv}}") >= 0);
                assert_true(sd_bus_message_exit_container(reply) >= 0);
        }
        assert_int_equal(n, VMS);
}

static uint64_t time_restart(Rig *r, sd_bus *bus, uint64_t *ret_all) {
        uint64_t begin, took;

        rig_stop_daemon(r, SIGTERM);
        begin = now_monotonic();
        rig_fork_daemon(r);
        while (!answers(bus, NAME, ROOT, "org.freedesktop.DBus.Peer", "Ping"))
                (void) usleep(500);
        took = now_monotonic() - begin;
        ask_all(bus);
        *ret_all = now_monotonic() - begin;
        rig_settle(r);
        return took;
}

static void write_records(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);
        g_autofree char *text = NULL;
        g_auto(GStrv) parts = NULL;

        assert_good(reply);
        text = rig_read(r, "state/vms/web/meta.json");
        parts = g_strsplit(text, "\"web\"", -1);
        for (unsigned i = 1; i < VMS; i++) {
                g_autofree char *name = g_strdup_printf("\"vm-%04u\"", i), *one = g_strjoinv(name, parts);
                g_autofree char *file = g_strdup_printf("state/vms/vm-%04u/meta.json", i);

                rig_write(r, file, one);
        }
}

static void test_restart(void **state) {
        static Series trivial = {"a trivial sd-bus service that reads 1,000 files"}, restart = {"mcp-runtimed with 1,000 VMs: first answer"},
                      all = {"and until GetManagedObjects() has told all of them"};
        Rig *r = *state;
        sd_bus *bus = plain_connection(r->address);

        write_records(r);
        sd_bus_flush_close_unref(r->polkit);
        r->polkit = NULL;
        for (unsigned i = 0; i < RESTARTS; i++) {
                uint64_t told, t = time_trivial(r, bus), d = time_restart(r, bus, &told);

                if (i == 0)
                        assert_property(r, ROOT, MANAGER, "VMCount", "1000");
                if (i > 0) {
                        series_add(&trivial, t);
                        series_add(&restart, d);
                        series_add(&all, told);
                }
        }
        table_head();
        table_row(&trivial, series_median(&trivial));
        table_row(&restart, series_median(&trivial));
        table_row(&all, series_median(&trivial));
        sd_bus_flush_close_unref(bus);
        r->unchanged = g_string_set_size(r->unchanged, 0);
}

/* ---- The end of a VM ---- */

static uint64_t told_at;

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        g_autoptr(GString) text = g_string_new(NULL);

        assert_true(sd_bus_message_skip(m, "s") >= 0);
        append_value(text, m);
        if (strstr(text->str, "stopped"))
                told_at = now_monotonic();
        return 0;
}

static uint64_t time_ping(Rig *r) {
        uint64_t begin = now_monotonic();

        rig_assert_alive(r);
        return now_monotonic() - begin;
}

static void test_end(void **state) {
        static Series ping = {"a round trip to the daemon"}, end = {"a VM's end -> PropertiesChanged (and the rig's own work)"};
        Rig *r = *state;

        assert_true(sd_bus_match_signal(r->caller, NULL, NULL, WEB, "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed, NULL) >= 0);
        for (unsigned i = 0; i < ENDS; i++) {
                g_autofree char *job = g_strdup_printf(ROOT "/job/%u", i + 1), *removed = g_strdup_printf("JobRemoved %u %s done", i + 1, job);
                g_autoptr(sd_bus_message) start = i == 0 ? rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 3, "Image", "s", REFERENCE,
                                                                   "Accelerator", "s", "tcg", "Network", "s", "none")
                                                         : rig_call(r, WEB, VM, "Start", "a{sv}", 0);
                uint64_t begin;

                assert_good(start);
                until(r, trace_has(r, removed));
                rig_settle(r);
                for (unsigned k = 0; k < 3; k++)
                        series_add(&ping, time_ping(r));
                told_at = 0;
                begin = now_monotonic();
                fake_exited(fake_find(r, "mcp-vm@web.service"), "guest-exit", 0);
                until(r, told_at);
                series_add(&end, told_at - begin);
                rig_settle(r);
        }
        table_row(&ping, series_median(&ping));
        table_row(&end, series_median(&ping));
        r->unchanged = g_string_set_size(r->unchanged, 0);
}

static int setup(void **state) {
        g_autofree char *config = NULL, *more = NULL;
        Rig *r;

        (void) rig_setup_without_daemon(state);
        r = *state;
        config = rig_read(r, "runtime.conf");
        more = g_strconcat(config, "VMsPerUser=2000\n", NULL);
        rig_write(r, "runtime.conf", more);
        rig_start_daemon(r);
        return 0;
}

int main(int argc, char *argv[]) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_restart, setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_end, setup, rig_teardown),
        };

        if (argc == 4 && strcmp(argv[1], "--trivial") == 0)
                return serve_trivial(argv[2], argv[3]);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
