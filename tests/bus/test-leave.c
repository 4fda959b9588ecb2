/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Callers that leave 0..20 ms after their call, wherever the call stands by then. 200 of them; 10,000 with MCP_SOAK set. */
#include "../soak.h"
#include "rig.h"

#include <stdlib.h>

#define WEB ROOT "/vm/web"

static unsigned rounds(void) {
        return is_soak() ? 10000 : 200;
}

/* One call of each kind: a gated one, jobs, waits, a stream, reads. */
static Pending *send_something(Rig *r, sd_bus *bus, unsigned kind) {
        switch (kind % 10) {
        case 0:
                return rig_send(r, bus, ROOT, MANAGER, "CreateVM", "sa{sv}", "leaver", 1, "Image", "s", REFERENCE);
        case 1:
                return rig_send(r, bus, ROOT, MANAGER, "RunVM", "sa{sv}", "leaver", 3, "Image", "s", REFERENCE, "Ephemeral", "b", 1,
                        "Accelerator", "s", "tcg");
        case 2:
                return rig_send(r, bus, ROOT "/vm/leaver", VM, "Remove", "a{sv}", 0);
        case 3:
                return rig_send(r, bus, WEB, VM, "Wait", "s", "paused");
        case 4:
                return rig_send(r, bus, WEB, VM, "Start", "a{sv}", 0);
        case 5:
                return rig_send(r, bus, WEB, VM, "OpenLog", "a{sv}", 1, "follow", "b", 1);
        case 6:
                return rig_send(r, bus, WEB, VM, "Stop", "ta{sv}", (uint64_t) 0, 0);
        case 7:
                return rig_send(r, bus, ROOT, MANAGER, "ListVMs", "a{sv}", 0);
        case 8:
                return rig_send(r, bus, WEB, VM, "Pause", NULL);
        default:
                return rig_send(r, bus, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL);
        }
}

static void test_leavers(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) web = NULL;
        g_autoptr(GRand) random = g_rand_new_with_seed(42);

        web = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);
        assert_good(web);
        for (unsigned i = 0; i < rounds(); i++) {
                sd_bus *leaver = rig_connect(r);
                g_autoptr(Pending) p = NULL;

                /* polkit is quick, silent for a while, or silent for good. */
                r->answer = i % 3 == 0 ? POLKIT_HANG : POLKIT_YES;
                p = send_something(r, leaver, i);
                (void) sd_bus_flush(leaver);
                if (g_rand_boolean(random))
                        rig_idle(r, (uint64_t) g_rand_int_range(random, 0, 20000));
                p->slot = sd_bus_slot_unref(p->slot);
                sd_bus_close(leaver);
                sd_bus_unref(leaver);
                trace_clear(r);
                if (i % 50 == 49)
                        rig_settle(r);
        }
        /* All of them have gone: no question is left, and there is room for new ones. */
        until(r, fake_polkit_open(r) == 0);
        r->answer = POLKIT_YES;
        rig_settle(r);
        for (unsigned i = 0; i < 8; i++) {
                g_autofree char *name = g_strdup_printf("after%u", i);
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", name, 1, "Image", "s", REFERENCE);

                assert_good(reply);
        }
        rig_assert_alive(r);
}

static void close_bus(void *bus) {
        (void) sd_bus_close_unref(bus);
}

/* A flood of calls that are never waited for, from many connections at once. */
static void test_flood(void **state) {
        Rig *r = *state;
        GPtrArray *connections = g_ptr_array_new_with_free_func(close_bus);

        for (unsigned c = 0; c < 32; c++) {
                sd_bus *bus = rig_connect(r);

                g_ptr_array_add(connections, bus);
                for (unsigned i = 0; i < 40; i++) {
                        sd_bus_message *m = rig_message(r, bus, ROOT, MANAGER, "CreateVM");
                        g_autofree char *name = g_strdup_printf("vm%u-%u", c, i);

                        assert_true(sd_bus_message_append(m, "sa{sv}", name, 1, "Image", "s", REFERENCE) >= 0);
                        assert_true(sd_bus_message_set_expect_reply(m, false) >= 0);
                        assert_true(sd_bus_send(bus, m, NULL) >= 0);
                        sd_bus_message_unref(m);
                }
        }
        rig_assert_alive(r);
        g_ptr_array_unref(connections);
        rig_settle(r);
        rig_assert_alive(r);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_leavers, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_flood, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
