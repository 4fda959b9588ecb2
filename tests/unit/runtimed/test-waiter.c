/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of callbacks: order, and what may be done from within them. */
#include "unit.h"

#include "core/waiter.h"

typedef struct Wait {
        GString *trace;
        const char *name;
        Waiter **cancels;  /* canceled from within */
        GPtrArray *adds_to; /* a waiter is added from within */
        guint seen_len;
} Wait;

static void on_done(const Problem *problem, void *userdata) {
        Wait *w = userdata;

        g_string_append_printf(w->trace, "%s%s ", w->name, problem ? "!" : "");
        if (w->cancels)
                *w->cancels = waiter_cancel(*w->cancels);
        if (w->adds_to) {
                w->seen_len = w->adds_to->len;
                (void) waiter_add(w->adds_to, on_done, w);
        }
}

static void test_order(void **state) {
        g_autoptr(GPtrArray) list = waiters_new();
        g_autoptr(GString) trace = g_string_new(NULL);
        g_autoptr(Problem) problem = problem_new("Timeout", NULL, "late");
        Wait w[] = {{trace, "a"}, {trace, "b"}, {trace, "c"}};

        for (size_t i = 0; i < G_N_ELEMENTS(w); i++)
                (void) waiter_add(list, on_done, &w[i]);
        waiters_fire(list, problem);
        assert_string_equal(trace->str, "a! b! c! ");
        assert_int_equal(list->len, 0);
        waiters_fire(list, NULL);
        assert_string_equal(trace->str, "a! b! c! ");
}

static void test_cancel_before(void **state) {
        g_autoptr(GPtrArray) list = waiters_new();
        g_autoptr(GString) trace = g_string_new(NULL);
        Wait a = {trace, "a"}, b = {trace, "b"};
        Waiter *w = waiter_add(list, on_done, &a);

        (void) waiter_add(list, on_done, &b);
        assert_null(waiter_cancel(w));
        assert_null(waiter_cancel(NULL));
        waiters_fire(list, NULL);
        assert_string_equal(trace->str, "b ");
}

/* The first one called takes the last one out: it is not called, and it is freed once. */
static void test_cancel_while_firing(void **state) {
        g_autoptr(GPtrArray) list = waiters_new();
        g_autoptr(GString) trace = g_string_new(NULL);
        Wait a = {trace, "a"}, b = {trace, "b"}, c = {trace, "c"};
        Waiter *last;

        (void) waiter_add(list, on_done, &a);
        (void) waiter_add(list, on_done, &b);
        last = waiter_add(list, on_done, &c);
        a.cancels = &last;
        waiters_fire(list, NULL);
        assert_string_equal(trace->str, "a b ");
        assert_null(last);
}

/* Who comes during the firing waits for the next one. */
static void test_add_while_firing(void **state) {
        g_autoptr(GPtrArray) list = waiters_new();
        g_autoptr(GString) trace = g_string_new(NULL);
        Wait a = {trace, "a", NULL, list};

        (void) waiter_add(list, on_done, &a);
        waiters_fire(list, NULL);
        assert_int_equal(a.seen_len, 0);
        assert_int_equal(list->len, 1);
        assert_string_equal(trace->str, "a ");
        a.adds_to = NULL;
        waiters_fire(list, NULL);
        assert_string_equal(trace->str, "a a ");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_cancel_before),
                cmocka_unit_test(test_cancel_while_firing),
                cmocka_unit_test(test_add_while_firing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
