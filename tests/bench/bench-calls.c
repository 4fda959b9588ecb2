/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a call of the daemon costs beside the same call of a bare sd-bus server on the same bus, taken in turns. */
#include "rig.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/fd.h"
#include "table.h"

#define VMS 1000U
#define ROUNDS 200U
#define LISTS 30U
#define BARE "org.freedesktop.PolicyKit1" /* a name that the rig's bus lets anybody own; polkit itself has ended by then */
#define BARE_PATH "/bare"
#define BARE_INTERFACE "org.example.Bare"

/* ---- The bare server ---- */

static int bare_get(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
        void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", "created");
}

static int bare_list(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sssso)");
        for (unsigned i = 0; i < VMS && r >= 0; i++)
                r = sd_bus_message_append(reply, "(sssso)", "vm-0000", REFERENCE, "created", "", ROOT "/vm/vm_2d0000");
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

#define BARE_PROPERTY(name) SD_BUS_PROPERTY(name, "s", bare_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

static const sd_bus_vtable bare_vtable[] = {
        SD_BUS_VTABLE_START(0),
        BARE_PROPERTY("State"),
        SD_BUS_METHOD("ListVMs", "a{sv}", "a(sssso)", bare_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static void serve_bare(const char *address) {
        sd_bus *bus = NULL;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, address) < 0 || sd_bus_set_bus_client(bus, true) < 0 || sd_bus_start(bus) < 0 ||
                sd_bus_add_object_vtable(bus, NULL, BARE_PATH, BARE_INTERFACE, bare_vtable, NULL) < 0 || sd_bus_request_name(bus, BARE, 0) < 0)
                _exit(1);
        for (;;) {
                int r = sd_bus_process(bus, NULL);

                if (r < 0 || (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0))
                        _exit(1);
        }
}

/* ---- The caller ---- */

static uint64_t time_call(sd_bus *bus, sd_bus_message *m) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        __attribute__((cleanup(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;
        uint64_t begin = now_monotonic();
        int r = sd_bus_call(bus, m, 0, &error, &reply);

        sd_bus_message_unref(m);
        if (r < 0)
                fail_msg("%s", error.message ?: strerror(-r));
        return now_monotonic() - begin;
}

static sd_bus_message *new_call(sd_bus *bus, const char *name, const char *path, const char *interface, const char *member) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_method_call(bus, &m, name, path, interface, member) >= 0);
        return m;
}

static uint64_t time_get(sd_bus *bus, const char *name, const char *path, const char *interface) {
        sd_bus_message *m = new_call(bus, name, path, "org.freedesktop.DBus.Properties", "Get");

        assert_true(sd_bus_message_append(m, "ss", interface, "State") >= 0);
        return time_call(bus, m);
}

static uint64_t time_get_all(sd_bus *bus, const char *name, const char *path, const char *interface) {
        sd_bus_message *m = new_call(bus, name, path, "org.freedesktop.DBus.Properties", "GetAll");

        assert_true(sd_bus_message_append(m, "s", interface) >= 0);
        return time_call(bus, m);
}

static uint64_t time_list(sd_bus *bus, const char *name, const char *path, const char *interface) {
        sd_bus_message *m = new_call(bus, name, path, interface, "ListVMs");

        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        return time_call(bus, m);
}

static sd_bus *plain_connection(const char *address) {
        sd_bus *bus = NULL;

        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_address(bus, address) >= 0);
        assert_true(sd_bus_set_bus_client(bus, true) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        return bus;
}

static uint64_t create_vms(Rig *r, Series *create) {
        uint64_t all = now_monotonic();

        for (unsigned i = 0; i < VMS; i++) {
                g_autofree char *name = g_strdup_printf("vm-%04u", i);
                uint64_t begin = now_monotonic();
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", name, 1, "Image", "s", REFERENCE);

                assert_good(reply);
                series_add(create, now_monotonic() - begin);
        }
        return now_monotonic() - all;
}

static uint64_t pss_kib(pid_t pid) {
        g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", (int) pid), *text = NULL;
        const char *line;

        if (!g_file_get_contents(path, &text, NULL, NULL))
                return 0;
        line = strstr(text, "\nPss:");
        return line ? g_ascii_strtoull(line + strlen("\nPss:"), NULL, 10) : 0;
}

static void test_calls(void **state) {
        static Series bare_gets = {"Properties.Get, bare sd-bus server"}, gets = {"Properties.Get of a VM"},
                      all = {"Properties.GetAll of a VM"}, bare_lists = {"a(sssso) of 1,000, bare sd-bus server"},
                      lists = {"ListVMs, 1,000 VMs"}, objects = {"GetManagedObjects, 1,000 VMs"}, create = {"CreateVM, polkit and fsync included"};
        Rig *r = *state;
        uint64_t pss_before = pss_kib(r->daemon_pid);
        sd_bus *bus;
        pid_t bare;

        (void) create_vms(r, &create);
        sd_bus_flush_close_unref(r->polkit);
        r->polkit = NULL;
        bare = fork();
        assert_true(bare >= 0);
        if (bare == 0)
                serve_bare(r->address);
        rig_idle(r, 300000);
        bus = plain_connection(r->address);
        for (unsigned i = 0; i < ROUNDS + 20; i++) {
                uint64_t b = time_get(bus, BARE, BARE_PATH, BARE_INTERFACE), g = time_get(bus, NAME, ROOT "/vm/vm_2d0500", VM),
                         a = time_get_all(bus, NAME, ROOT "/vm/vm_2d0500", VM);

                if (i < 20)
                        continue; /* warm */
                series_add(&bare_gets, b);
                series_add(&gets, g);
                series_add(&all, a);
        }
        for (unsigned i = 0; i < LISTS; i++) {
                series_add(&bare_lists, time_list(bus, BARE, BARE_PATH, BARE_INTERFACE));
                series_add(&lists, time_list(bus, NAME, ROOT, MANAGER));
                series_add(&objects, time_call(bus, new_call(bus, NAME, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")));
        }
        (void) kill(bare, SIGKILL);
        (void) waitpid(bare, NULL, 0);
        sd_bus_flush_close_unref(bus);

        table_head();
        table_row(&bare_gets, series_median(&bare_gets));
        table_row(&gets, series_median(&bare_gets));
        table_row(&all, series_median(&bare_gets));
        table_row(&bare_lists, series_median(&bare_lists));
        table_row(&lists, series_median(&bare_lists));
        table_row(&objects, series_median(&bare_lists));
        table_row(&create, 0);
        (void) printf("memory of the daemon (PSS): %" PRIu64 " KiB with 0 VMs, %" PRIu64 " KiB with %u\n", pss_before, pss_kib(r->daemon_pid), VMS);
        r->unchanged = g_string_set_size(r->unchanged, 0); /* is the bus ring's business */
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

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_calls, setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
