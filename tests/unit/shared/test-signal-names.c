/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of signals: each one there and back, and what is none. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include "shared/signal-names.h"

static void test_all(void **state) {
        unsigned named = 0;

        for (int n = 1; n < 32; n++) {
                const char *name = signal_to_name(n);
                char with_sig[32];

                if (!name)
                        continue;
                named++;
                assert_int_equal(signal_from_name(name), n);
                (void) snprintf(with_sig, sizeof with_sig, "sig%s", name);
                assert_int_equal(signal_from_name(with_sig), n);
                assert_non_null(strstr(signal_names, name));
        }
        assert_int_equal(named, 31);
        assert_null(signal_to_name(0));
        assert_null(signal_to_name(34));
}

static void test_realtime(void **state) {
        assert_int_equal(signal_from_name("RTMIN"), 34);
        assert_int_equal(signal_from_name("rtmin+3"), 37);
        assert_int_equal(signal_from_name("SIGRTMIN+30"), 64);
        assert_int_equal(signal_from_name("SIGRTMAX"), 64);
        assert_int_equal(signal_from_name("RTMAX-30"), 34);
}

static void test_none(void **state) {
        static const char *const names[] = {"", "SIG", "TER", "TERMX", "SIGSIGTERM", "15", "RTMIN+", "RTMIN+31",
                "RTMIN-1", "RTMIN+-1", "RTMIN+ 1", "RTMIN+1x", "RTMAX+1", "RTMAX-31", "RTMAX-",
                "RTMIN+99999999999999999999", "KILL ", " KILL"};

        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (signal_from_name(names[i]) != -EINVAL)
                        fail_msg("'%s' is taken", names[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all),
                cmocka_unit_test(test_realtime),
                cmocka_unit_test(test_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
