/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which units may have a process of an earlier run. */
#include "unit.h"

#include "launch/known-units.h"

#define WEB "mcp-vm@web.service"
#define OLD "mcp-vm@old.service"

static KnownUnits *listed(const char *unit, const char *state) {
        g_autoptr(GHashTable) units = g_hash_table_new(g_str_hash, g_str_equal);
        KnownUnits *k = known_units_new();

        (void) g_hash_table_insert(units, (gpointer) unit, (gpointer) state);
        known_units_listed(k, units);
        return k;
}

static void test_listed(void **state) {
        static const char *const alive[] = {"active", "activating", "deactivating", "reloading", "unheard-of"};
        KnownUnits *k = known_units_new();

        assert_true(known_units_may_run(k, WEB)); /* nobody has told */
        known_units_free(k);
        for (size_t i = 0; i < G_N_ELEMENTS(alive); i++) {
                k = listed(OLD, alive[i]);
                assert_true(known_units_may_run(k, OLD));
                assert_false(known_units_may_run(k, WEB));
                known_units_free(k);
        }
        k = listed(OLD, "failed");
        assert_false(known_units_may_run(k, OLD));
        known_units_free(k);
}

static void test_runs(void **state) {
        KnownUnits *k = listed(OLD, "inactive");
        unsigned first, second;

        assert_int_equal(known_units_last(k, WEB), 0);
        known_units_run(k, WEB);
        first = known_units_last(k, WEB);
        assert_true(known_units_may_run(k, WEB));
        known_units_run(k, WEB); /* again, before the stop of the first one is over */
        second = known_units_last(k, WEB);
        known_units_stopped(k, WEB, first);
        assert_true(known_units_may_run(k, WEB));
        known_units_stopped(k, WEB, 0);
        assert_true(known_units_may_run(k, WEB));
        known_units_stopped(k, WEB, second);
        assert_false(known_units_may_run(k, WEB));
        known_units_stopped(k, WEB, second);
        known_units_free(k);
}

/* A list that was made before a start does not undo it. */
static void test_listed_late(void **state) {
        g_autoptr(GHashTable) units = g_hash_table_new(g_str_hash, g_str_equal);
        KnownUnits *k = known_units_new();

        known_units_run(k, WEB);
        known_units_listed(k, units);
        assert_true(known_units_may_run(k, WEB));
        assert_false(known_units_may_run(k, OLD));
        known_units_free(k);
}

/* More than are kept: all are asked about, until they are listed anew. */
static void test_too_many(void **state) {
        g_autoptr(GHashTable) none = g_hash_table_new(g_str_hash, g_str_equal);
        KnownUnits *k = listed(OLD, "active");

        for (unsigned i = 0; i < 8191; i++) {
                g_autofree char *unit = g_strdup_printf("mcp-image@%u.service", i);

                known_units_run(k, unit);
        }
        assert_false(known_units_may_run(k, WEB));
        known_units_run(k, "mcp-image@8191.service");
        assert_true(known_units_may_run(k, WEB));
        known_units_listed(k, none);
        assert_false(known_units_may_run(k, WEB));
        assert_true(known_units_may_run(k, "mcp-image@8191.service"));
        known_units_free(k);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_listed),
                cmocka_unit_test(test_runs),
                cmocka_unit_test(test_listed_late),
                cmocka_unit_test(test_too_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
