/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shares of what users share: nobody has all, and who comes later finds something. */
#include "unit.h"

#include "model/fair.h"

static void test_shares(void **state) {
        static const struct {
                uint64_t free, own, others, share, room;
        } cases[] = {
                {253, 0, 0, 126, 126}, /* a /24 without its gateway: half for who is alone */
                {127, 126, 0, 126, 0}, /* and no more, however often it asks */
                {128, 125, 0, 126, 1}, /* the last one */
                {127, 0, 1, 42, 42},   /* a third for the second */
                {85, 42, 1, 42, 0},
                {85, 0, 2, 21, 21},
                {10, 100, 1, 36, 0}, /* it came when there was more: it keeps what it has, and gets nothing */
                {1, 0, 0, 1, 1},     /* the only address of a /30 */
                {1, 0, 1000, 1, 1},  /* a newcomer finds a place as long as there is one */
                {1, 1, 0, 1, 0},     /* who has one is none */
                {0, 0, 0, 0, 0},
                {0, 1, 0, 0, 0},
                {UINT64_MAX, 1, 0, UINT64_MAX / 2, UINT64_MAX / 2 - 1},
                {1, UINT64_MAX, 1, UINT64_MAX / 3, 0},
                {5, 0, UINT64_MAX, 1, 1},
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                assert_true(fair_share(cases[i].free, cases[i].own, cases[i].others) == cases[i].share);
                assert_true(fair_room(cases[i].free, cases[i].own, cases[i].others) == cases[i].room);
        }
}

/* Users come one after the other and each takes all it may: what is left for the next is p / (n + 1), and each of the
 * first sixteen in a /24 has more than one. */
static void test_greedy(void **state) {
        static const uint64_t pools[] = {1, 5, 253, 1021, 1024, 65533, 1ULL << 40};

        for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
                uint64_t free = pools[i];

                for (uint64_t n = 1; n <= 100; n++) {
                        uint64_t own = 0;

                        while (fair_room(free, own, n - 1) > 0) {
                                uint64_t more = fair_room(free, own, n - 1);

                                assert_true(more <= free);
                                own += more;
                                free -= more;
                        }
                        assert_true(free >= pools[i] / (n + 1) || own <= 1);
                        assert_true(own > 0 || free == 0);
                }
        }
}

/* At least so many users find a place in a /24, however greedy those before them are. */
static void test_newcomers(void **state) {
        uint64_t free = 253;
        unsigned n = 0;

        for (; free > 0; n++) {
                uint64_t taken = fair_room(free, 0, n);

                assert_true(taken > 0);
                free -= taken;
        }
        assert_in_range(n, 30, 40);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shares),
                cmocka_unit_test(test_greedy),
                cmocka_unit_test(test_newcomers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
