/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every way a VM can end, and the name it gets. */
#include "unit.h"

#include <signal.h>

#include "monitor/exit-reason.h"

static const struct {
        const char *what;
        struct exit_facts facts;
        const char *reason;
        int code;
} table[] = {
        {"not executed", {.not_started = true}, "crashed", 127},
        {"ends before it ran", {.not_started = true, .qemu_status = 1}, "crashed", 1},
        {"dies before it ran", {.not_started = true, .signaled = true, .qemu_status = SIGSEGV}, "crashed", 139},
        {"ended by us before it ran",
                {.not_started = true, .forced = true, .signaled = true, .qemu_status = SIGTERM},
                "crashed",
                127},
        {"program exits", {.exit_frame = true, .status = 3, .cause = SHUTDOWN_GUEST}, "guest-exit", 3},
        {"program exits, then the guest hangs and is killed",
                {.exit_frame = true, .status = 0, .asked = true, .forced = true, .signaled = true, .qemu_status = SIGKILL},
                "guest-exit",
                0},
        {"program dies", {.exit_frame = true, .how = 1, .status = 11, .cause = SHUTDOWN_GUEST}, "guest-signal", 11},
        {"power off", {.cause = SHUTDOWN_GUEST}, "powered-off", 0},
        {"power off after our button", {.cause = SHUTDOWN_GUEST, .asked = true}, "powered-off", 0},
        {"power off, QEMU then hangs",
                {.cause = SHUTDOWN_GUEST, .asked = true, .forced = true, .signaled = true, .qemu_status = SIGKILL},
                "powered-off",
                0},
        {"power off, QMP lost", {.cause = SHUTDOWN_NONE}, "powered-off", 0},
        {"guest init fails", {.cause = SHUTDOWN_GUEST, .guest_error = true}, "powered-off", 1},
        {"quit", {.cause = SHUTDOWN_HOST, .asked = true, .forced = true}, "killed", 137},
        {"quit, QMP lost", {.asked = true, .forced = true}, "killed", 137},
        {"our SIGKILL", {.asked = true, .forced = true, .signaled = true, .qemu_status = SIGKILL}, "killed", 137},
        {"our SIGKILL under pressure",
                {.asked = true, .forced = true, .signaled = true, .qemu_status = SIGKILL, .oom_kill = true},
                "killed",
                137},
        {"someone's SIGTERM, obeyed", {.cause = SHUTDOWN_HOST}, "killed", 137},
        {"someone's SIGKILL", {.signaled = true, .qemu_status = SIGKILL}, "crashed", 137},
        {"out of memory", {.signaled = true, .qemu_status = SIGKILL, .oom_kill = true}, "oom", 137},
        {"segfault beside an oom kill", {.signaled = true, .qemu_status = SIGSEGV, .oom_kill = true}, "crashed", 139},
        {"QEMU fails", {.qemu_status = 1}, "crashed", 1},
        {"kernel panic", {.cause = SHUTDOWN_GUEST_RESET}, "crashed", 1},
        {"reset when asked to stop", {.cause = SHUTDOWN_GUEST_RESET, .asked = true}, "powered-off", 0},
        {"pvpanic", {.cause = SHUTDOWN_GUEST_PANIC}, "crashed", 1},
};

static void test_table(void **state) {
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                struct exit_verdict v = exit_deduce(&table[i].facts);

                if (strcmp(exit_reason_to_string(v.reason), table[i].reason) != 0 || v.code != table[i].code)
                        fail_msg("%s: %s %d", table[i].what, exit_reason_to_string(v.reason), v.code);
        }
}

static void test_causes(void **state) {
        assert_int_equal(shutdown_cause_from_string("guest-shutdown", true), SHUTDOWN_GUEST);
        assert_int_equal(shutdown_cause_from_string("guest-reset", true), SHUTDOWN_GUEST_RESET);
        assert_int_equal(shutdown_cause_from_string("guest-panic", true), SHUTDOWN_GUEST_PANIC);
        assert_int_equal(shutdown_cause_from_string("host-qmp-quit", false), SHUTDOWN_HOST);
        assert_int_equal(shutdown_cause_from_string(NULL, true), SHUTDOWN_GUEST);
        assert_int_equal(shutdown_cause_from_string(NULL, false), SHUTDOWN_HOST);
}

static void test_names(void **state) {
        for (enum exit_reason r = 0; r < _EXIT_REASON_MAX; r++)
                assert_non_null(exit_reason_to_string(r));
        assert_null(exit_reason_to_string(_EXIT_REASON_MAX));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_causes),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
