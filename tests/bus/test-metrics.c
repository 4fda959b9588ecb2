/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GetMetrics: asked of the monitors at most once a second, answered in time whatever they do. */
#include "rig.h"

#include "shared/wire.h"

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"

static void run_web(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 3, "Image", "s",
                REFERENCE, "Accelerator", "s", "tcg", "Network", "s", "none");

        assert_good(reply);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
}

static unsigned asked;

static void play_usage(FakeHelper *h, json_t *message) {
        play_monitor(h, message);
        if (strcmp(wire_type(message), "usage") != 0)
                return;
        asked++;
        fake_say(h, json_pack("{s:s, s:i, s:i}", "type", "usage", "cpu", 5000000, "memory", 1048576));
        fake_say(h, json_pack("{s:s, s:O, s:i, s:i}", "type", "reply", "id", json_object_get(message, "id"),
                            "disk_read", 4096, "disk_written", 0));
}

/* The numbers come, and then silence about the rest. */
static void play_half(FakeHelper *h, json_t *message) {
        play_monitor(h, message);
        if (strcmp(wire_type(message), "usage") != 0)
                return;
        asked++;
        fake_say_text(h, "{\"type\":\"usage\",\"cpu\":-5,\"memory\":77,\"disk_read\":\"x\"}", 53);
}

static char *metrics_of(Rig *r, const char *path) {
        g_autoptr(sd_bus_message) reply = path ? rig_call(r, ROOT, MANAGER, "GetMetrics", "ao", 1, path)
                                               : rig_call(r, ROOT, MANAGER, "GetMetrics", "ao", 0);
        GString *out = g_string_new(NULL);

        assert_good(reply);
        append_value(out, reply);
        return g_string_free(out, FALSE);
}

static void assert_in(const char *text, const char *part) {
        if (!strstr(text, part))
                fail_msg("'%s' is not in %s", part, text);
}

static void test_metrics(void **state) {
        Rig *r = *state;
        g_autofree char *one = NULL, *all = NULL, *ended = NULL;

        asked = 0;
        r->play[KIND_VM] = play_usage;
        run_web(r);
        one = metrics_of(r, WEB);
        assert_in(one, "5000000");
        assert_in(one, "1048576");
        assert_in(one, "4096");
        assert_in(one, "NetworkSentBytes"); /* among those that are missing */
        all = metrics_of(r, NULL);
        assert_in(all, WEB);
        assert_in(all, "5000000");
        assert_int_equal(asked, 1);
        for (unsigned i = 0; i < 100; i++) {
                g_autofree char *again = metrics_of(r, WEB);

                assert_in(again, "5000000");
        }
        assert_in_range(asked, 1, 30); /* one a second, however slow this machine is */
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        until(r, trace_has(r, "changed /vm/web State=stopped"));
        ended = metrics_of(r, WEB);
        assert_null(strstr(ended, "5000000"));
}

/* What a monitor does not say is missing; what it should not say is not believed. */
static void test_silent_monitor(void **state) {
        Rig *r = *state;
        g_autofree char *text = NULL;
        gint64 begin;

        asked = 0;
        r->play[KIND_VM] = play_half;
        run_web(r);
        begin = g_get_monotonic_time();
        text = metrics_of(r, WEB);
        assert_true(g_get_monotonic_time() - begin >= 1900000);
        assert_in(text, "77");
        assert_in(text, "CPUUsec");
        assert_null(strstr(text, "-5"));
}

/* The VM ends, and the caller leaves, while the answer is waited for. */
static void test_end_in_between(void **state) {
        Rig *r = *state;
        g_autoptr(Pending) p = NULL;
        sd_bus *leaver = rig_connect(r);
        Pending *gone;

        asked = 0;
        r->play[KIND_VM] = play_half;
        run_web(r);
        p = rig_send(r, r->caller, ROOT, MANAGER, "GetMetrics", "ao", 1, WEB);
        gone = rig_send(r, leaver, ROOT, MANAGER, "GetMetrics", "ao", 0);
        until(r, asked > 0);
        pending_free(gone);
        sd_bus_flush_close_unref(leaver);
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        until(r, p->reply);
        assert_good(p->reply);
        rig_assert_alive(r);
}

static void test_bad_paths(void **state) {
        static const char *const paths[] = {
                "/", ROOT, ROOT "/vm/nobody", ROOT "/vm", ROOT "/job/1", "/org/mcp/Runtime1/vm/_zz"};
        Rig *r = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
                g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "GetMetrics", "ao", 1, paths[i]);

                assert_error(reply, ERROR("NoSuchVM"));
        }
        g_autofree char *none = metrics_of(r, NULL);

        assert_non_null(none);
}

/* The same VM many times is one, and too many calls at once are refused by name. */
static void test_many(void **state) {
        Rig *r = *state;
        Pending *calls[80];
        unsigned busy = 0;

        asked = 0;
        r->play[KIND_VM] = play_half;
        run_web(r);
        for (size_t i = 0; i < G_N_ELEMENTS(calls); i++)
                calls[i] = rig_send(r, r->caller, ROOT, MANAGER, "GetMetrics", "ao", 3, WEB, WEB, WEB);
        for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
                until(r, calls[i]->reply);
                busy += strcmp(reply_error(calls[i]->reply), ERROR("Busy")) == 0;
                pending_free(calls[i]);
        }
        assert_in_range(busy, 1, 16);
        assert_in_range(asked, 1, 5);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_metrics, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_silent_monitor, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_end_in_between, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_bad_paths, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_many, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
