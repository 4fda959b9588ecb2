/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many questions to polkit a user may cause. */
#include "unit.h"

#include "bus/questions.h"

#define NOW (100ULL * G_USEC_PER_SEC)

static void test_pending(void **state) {
        GHashTable *q = questions_new();

        for (unsigned i = 0; i < QUESTIONS_PENDING_MAX; i++)
                assert_true(questions_begin(q, 1000, NOW));
        assert_false(questions_begin(q, 1000, NOW));
        assert_true(questions_begin(q, 1001, NOW));
        questions_end(q, 1000);
        assert_true(questions_begin(q, 1000, NOW));
        assert_false(questions_begin(q, 1000, NOW));
        g_hash_table_unref(q);
}

/* One after the other costs nothing, whatever their number. */
static void test_one_by_one(void **state) {
        GHashTable *q = questions_new();

        for (unsigned i = 0; i < 100000; i++) {
                assert_true(questions_begin(q, 1000, NOW));
                questions_end(q, 1000);
        }
        g_hash_table_unref(q);
}

/* Beside another each takes a token. */
static void test_flood(void **state) {
        GHashTable *q = questions_new();
        unsigned n = 0;

        assert_true(questions_begin(q, 1000, NOW));
        while (questions_begin(q, 1000, NOW)) {
                questions_end(q, 1000);
                n++;
        }
        assert_int_equal(n, QUESTIONS_BURST);
        assert_true(questions_begin(q, 1000, NOW + G_USEC_PER_SEC / QUESTIONS_PER_SECOND + 1));
        questions_end(q, 1000);
        assert_false(questions_begin(q, 1000, NOW + G_USEC_PER_SEC / QUESTIONS_PER_SECOND + 1));
        /* Tokens do not pile up. */
        for (n = 0; questions_begin(q, 1000, NOW + 3600ULL * G_USEC_PER_SEC); n++)
                questions_end(q, 1000);
        assert_int_equal(n, QUESTIONS_BURST);
        questions_end(q, 1000);
        assert_true(questions_begin(q, 1000, NOW));
        g_hash_table_unref(q);
}

/* Many users do not make it grow, and nobody who waits is forgotten. */
static void test_many(void **state) {
        GHashTable *q = questions_new();

        for (unsigned i = 0; i < QUESTIONS_PENDING_MAX; i++)
                assert_true(questions_begin(q, 1, NOW));
        for (uint32_t uid = 1000; uid < 100000; uid++) {
                assert_true(questions_begin(q, uid, NOW));
                questions_end(q, uid);
        }
        assert_in_range(g_hash_table_size(q), 1, 2048);
        assert_false(questions_begin(q, 1, NOW));
        questions_end(q, 4711);
        g_hash_table_unref(q);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pending),
                cmocka_unit_test(test_one_by_one),
                cmocka_unit_test(test_flood),
                cmocka_unit_test(test_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
