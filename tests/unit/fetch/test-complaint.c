/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit.h"

#include "fetch/complaint.h"

static void test_text(void **state) {
        static const struct {
                const char *line, *text;
                bool fatal;
        } cases[] = {
                {"Copying blob sha256:00", "Copying blob sha256:00", false},
                {"time=\"x\" level=fatal msg=\"a \\\"b\\\" c\\\\d\"", "a \"b\" c\\d", true},
                {"time=\"x\" level=warning msg=\"retrying\"", "retrying", false},
                {"time=\"x\" level=fatal msg=\"cut \\", "cut \\", true},
                {"time=\"x\" level=fatal", "time=\"x\" level=fatal", false},
                {"a time=\"x\" level=fatal msg=\"b\"", "a time=\"x\" level=fatal msg=\"b\"", false},
                {"", "", false},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *text = complaint_text(cases[i].line);

                assert_string_equal(text, cases[i].text);
                assert_int_equal(complaint_is_fatal(cases[i].line), cases[i].fatal);
        }
}

/* The words are those of skopeo 1.9 and 1.18. */
static void test_names(void **state) {
        static const struct {
                const char *text, *name, *part;
        } cases[] = {
                {"Error parsing image name \"docker://r/x:1\": reading manifest 1 in r/x: manifest unknown", "RegistryFailed",
                        "registry r has no such image: reading manifest 1"},
                {"pinging container registry r: Get \"http://r/v2/\": dial tcp 127.0.0.1:9: connect: connection refused",
                        "RegistryFailed", "registry r cannot be reached"},
                {"http: server gave HTTP response to HTTPS client", "RegistryFailed", "InsecureRegistries="},
                {"Error parsing image name \"docker://r/x\": unable to retrieve auth token: invalid username/password: "
                 "unauthorized",
                        "RegistryFailed", "registry r refuses (unauthorized)"},
                {"Manifest does not match provided manifest digest sha256:00", "DigestMismatch", ""},
                {"writing blob: storing blob to file \"x\": write x: no space left on device", "NoSpace", ""},
                {"write x: file too large", "LimitExceeded", ""},
                {"Source image rejected: Running image docker://r/x is rejected by policy.", "RegistryFailed", "policy.json"},
                {"something new", "RegistryFailed", "registry r: something new"},
                {"", "RegistryFailed", "without a reason"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                struct failure f = {};

                assert_true(complaint_fail("r", cases[i].text, &f) < 0);
                assert_string_equal(f.name, cases[i].name);
                if (!strstr(f.message, cases[i].part))
                        fail_msg("%s: %s", cases[i].text, f.message);
                failure_clear(&f);
        }
}

/* Conversions in what a registry says are text. */
static void test_percent(void **state) {
        struct failure f = {};

        (void) complaint_fail("r%s%n", "unauthorized %s%n\x1b[31m", &f);
        assert_string_equal(f.message, "registry r%s%n refuses (unauthorized): unauthorized %s%n?[31m");
        failure_clear(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_percent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
