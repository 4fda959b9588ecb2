/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VM takes of the host: its limits at systemd, its balloon at the monitor. */
#include "rig.h"

#define WEB ROOT "/vm/web"
#define MONITOR "mcp-vm@web.service"
#define NONE "18446744073709551615"
#define MIB (1024ULL * 1024ULL)

static void create_web(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, MANAGER, "CreateVM", "sa{sv}", "web", 4, "Image", "s",
                REFERENCE, "Accelerator", "s", "tcg", "Network", "s", "none", "Limits", "a{sv}", 2, "CPUWeight", "t",
                (uint64_t) 50, "MemoryMax", "t", (uint64_t) (512 * MIB));

        assert_good(reply);
}

static void start_web(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, WEB, VM, "Start", "a{sv}", 0);

        assert_good(reply);
        until(r, trace_has(r, "changed /vm/web Ready=true"));
}

static void assert_set(Rig *r, const char *properties) {
        g_autofree char *text = g_strconcat("=" MONITOR " ", properties, NULL);

        until(r, strstr(r->units->str, text));
}

static void test_limits_at_start(void **state) {
        Rig *r = *state;

        create_web(r);
        start_web(r);
        assert_set(r, "CPUWeight=50 CPUQuotaPerSecUSec=" NONE " MemoryMax=536870912 IOWeight=" NONE);
        assert_true(strstr(r->units->str, "=" MONITOR) < strstr(r->units->str, "+" MONITOR));
}

/* At once where it runs, and kept; what is left out stays, 0 is none. */
static void test_set_limits(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) first = NULL, second = NULL;
        g_autofree char *record = NULL;

        create_web(r);
        first = rig_call(r, WEB, VM, "SetLimits", "a{sv}", 1, "IOWeight", "t", (uint64_t) 20);
        assert_good(first);
        assert_null(strstr(r->units->str, "=" MONITOR)); /* it does not run */
        start_web(r);
        assert_set(r, "CPUWeight=50 CPUQuotaPerSecUSec=" NONE " MemoryMax=536870912 IOWeight=20");
        second = rig_call(r, WEB, VM, "SetLimits", "a{sv}", 2, "CPUWeight", "t", (uint64_t) 0, "CPUQuotaPerSec", "t",
                (uint64_t) 500000);
        assert_good(second);
        assert_set(r, "CPUWeight=" NONE " CPUQuotaPerSecUSec=500000 MemoryMax=536870912 IOWeight=20");
        record = rig_read(r, "state/vms/web/meta.json");
        assert_non_null(strstr(record, "\"CPUQuotaPerSec\": 500000"));
        assert_null(strstr(record, "CPUWeight"));
}

static void test_bad_limits(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) large = NULL, unknown = NULL, mistyped = NULL, twice = NULL;

        create_web(r);
        large = rig_call(r, WEB, VM, "SetLimits", "a{sv}", 1, "CPUWeight", "t", (uint64_t) 10001);
        assert_error(large, ERROR("InvalidSpec"));
        unknown = rig_call(r, WEB, VM, "SetLimits", "a{sv}", 1, "TasksMax", "t", (uint64_t) 1);
        assert_error(unknown, ERROR("InvalidSpec"));
        mistyped = rig_call(r, WEB, VM, "SetLimits", "a{sv}", 1, "CPUWeight", "s", "50");
        assert_error(mistyped, ERROR("InvalidSpec"));
        twice = rig_call(
                r, WEB, VM, "SetLimits", "a{sv}", 2, "CPUWeight", "t", (uint64_t) 1, "CPUWeight", "t", (uint64_t) 1);
        assert_error(twice, ERROR("InvalidSpec"));
        assert_null(strstr(r->units->str, "=" MONITOR));
}

/* systemd says no: the caller hears it; a start goes on and its job says so. */
static void test_limits_refused(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply = NULL;

        create_web(r);
        start_web(r);
        r->start[KIND_VM] = START_REFUSED;
        reply = rig_call(r, WEB, VM, "SetLimits", "a{sv}", 1, "CPUWeight", "t", (uint64_t) 1);
        assert_error(reply, ERROR("NotSupported"));
        assert_property(r, WEB, VM, "State", "running");
}

static void play_balloon(FakeHelper *h, json_t *message) {
        play_monitor(h, message);
        if (strcmp(json_string_value(json_object_get(message, "type")), "balloon") != 0)
                return;
        fake_say(h, json_pack("{s:s, s:O}", "type", "memory", "target", json_object_get(message, "bytes")));
        fake_say(h, json_pack("{s:s, s:O}", "type", "reply", "id", json_object_get(message, "id")));
        fake_say(h, json_pack("{s:s, s:I}", "type", "memory", "actual", (json_int_t) (100 * MIB)));
}

static void test_memory(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) early = NULL, small = NULL, large = NULL, good = NULL;

        r->play[KIND_VM] = play_balloon;
        create_web(r);
        early = rig_call(r, WEB, VM, "SetMemory", "t", (uint64_t) (128 * MIB));
        assert_error(early, ERROR("VMNotRunning"));
        assert_property(r, WEB, VM, "MemoryActual", "0");
        start_web(r);
        assert_property(r, WEB, VM, "MemoryTarget", "268435456");
        assert_property(r, WEB, VM, "MemoryActual", "268435456");
        small = rig_call(r, WEB, VM, "SetMemory", "t", (uint64_t) (64 * MIB - 1));
        assert_error(small, ERROR("InvalidSpec"));
        large = rig_call(r, WEB, VM, "SetMemory", "t", (uint64_t) (256 * MIB + 1));
        assert_error(large, ERROR("InvalidSpec"));
        good = rig_call(r, WEB, VM, "SetMemory", "t", (uint64_t) (64 * MIB));
        assert_good(good);
        until(r, trace_has(r, "changed /vm/web MemoryTarget=67108864"));
        until(r, trace_has(r, "changed /vm/web MemoryActual=104857600"));
        fake_exited(fake_find(r, MONITOR), "guest-exit", 0);
        until(r, trace_has(r, "changed /vm/web MemoryTarget=0"));
}

/* A guest's word about its size is bounded by what it was given. */
static void test_memory_nonsense(void **state) {
        static const char *const texts[] = {"{\"type\":\"memory\"}", "{\"type\":\"memory\",\"actual\":-1}",
                "{\"type\":\"memory\",\"actual\":\"x\",\"target\":[]}",
                "{\"type\":\"memory\",\"actual\":99999999999999}"};
        Rig *r = *state;

        create_web(r);
        start_web(r);
        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                fake_say_text(fake_find(r, MONITOR), texts[i], strlen(texts[i]));
                rig_settle(r);
                assert_property(r, WEB, VM, "MemoryActual", "268435456");
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_limits_at_start, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_set_limits, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_bad_limits, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_limits_refused, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_memory, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_memory_nonsense, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
