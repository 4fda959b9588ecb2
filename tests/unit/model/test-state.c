/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words, predicates and the legal moves of a VM. */
#include "unit.h"

#include "model/state.h"

#define ROUND_TRIP(name, max, first, last)                                                                             \
        for (int i = 0; i < (max); i++) {                                                                              \
                assert_non_null(name##_to_string(i));                                                                  \
                assert_int_equal(name##_from_string(name##_to_string(i)), i);                                          \
        }                                                                                                              \
        assert_string_equal(name##_to_string(0), first);                                                               \
        assert_string_equal(name##_to_string((max) -1), last);                                                         \
        assert_null(name##_to_string(max));                                                                            \
        assert_null(name##_to_string(-1));                                                                             \
        assert_int_equal(name##_from_string("nonsense"), -1);                                                          \
        assert_int_equal(name##_from_string(NULL), -1)

static void test_words(void **state) {
        ROUND_TRIP(vm_state, VM_STATE_MAX, "created", "failed");
        ROUND_TRIP(exit_reason, EXIT_REASON_MAX, "", "unhealthy");
        ROUND_TRIP(vm_health, HEALTH_MAX, "none", "unhealthy");
        ROUND_TRIP(accelerator, ACCELERATOR_MAX, "auto", "tcg");
        ROUND_TRIP(job_state, JOB_STATE_MAX, "queued", "canceled");
}

/* A row for each state: the first letters of those that may follow. */
static void test_moves(void **state) {
        /*                                    cpsrPSOf: created preparing starting running Paused Stopping stOpped
         * failed */
        static const char *const letters = "cpsrPSOf";
        static const char *const follow[VM_STATE_MAX] = {
                [VM_CREATED] = "pf",
                [VM_PREPARING] = "sSOf",
                [VM_STARTING] = "rPSOf",
                [VM_RUNNING] = "PSOf",
                [VM_PAUSED] = "rSOf",
                [VM_STOPPING] = "Of",
                [VM_STOPPED] = "p",
                [VM_FAILED] = "p",
        };

        for (VMState from = 0; from < VM_STATE_MAX; from++)
                for (VMState to = 0; to < VM_STATE_MAX; to++)
                        assert_int_equal(vm_state_may_follow(from, to), strchr(follow[from], letters[to]) != NULL);
        assert_false(vm_state_may_follow(VM_STATE_INVALID, VM_RUNNING));
        assert_false(vm_state_may_follow(VM_RUNNING, VM_STATE_INVALID));
        assert_false(vm_state_may_follow(VM_RUNNING, VM_STATE_MAX));
        assert_false(vm_state_may_follow(VM_STATE_MAX, VM_RUNNING));
}

static void test_predicates(void **state) {
        for (VMState s = 0; s < VM_STATE_MAX; s++) {
                /* Every state is one or the other, and an active one ends. */
                assert_true(vm_state_is_active(s) != vm_state_is_startable(s));
                assert_int_equal(vm_state_may_follow(s, VM_PREPARING), vm_state_is_startable(s));
                assert_int_equal(vm_state_may_follow(s, VM_STOPPED), vm_state_is_active(s));
        }
        assert_true(vm_state_has_guest(VM_RUNNING));
        assert_true(vm_state_has_guest(VM_PAUSED));
        assert_false(vm_state_has_guest(VM_STARTING));
        assert_false(vm_state_has_guest(VM_STOPPING));
        assert_false(vm_state_is_active(VM_STATE_INVALID));
        assert_false(job_state_is_finished(JOB_QUEUED));
        assert_false(job_state_is_finished(JOB_RUNNING));
        assert_true(job_state_is_finished(JOB_DONE));
        assert_true(job_state_is_finished(JOB_FAILED));
        assert_true(job_state_is_finished(JOB_CANCELED));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_moves),
                cmocka_unit_test(test_predicates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
