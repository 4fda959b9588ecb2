/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The grammar of a published port. */
#include <errno.h>

#include "unit.h"

#include "model/port.h"

static void test_good(void **state) {
        static const struct {
                const char *text, *canonical;
        } cases[] = {
                {"80", "127.0.0.1:80:80/tcp"},
                {"1", "127.0.0.1:1:1/tcp"},
                {"65535", "127.0.0.1:65535:65535/tcp"},
                {"8080:80", "127.0.0.1:8080:80/tcp"},
                {"8080:80/tcp", "127.0.0.1:8080:80/tcp"},
                {"53/udp", "127.0.0.1:53:53/udp"},
                {"0:80", "127.0.0.1:0:80/tcp"},
                {"[::1]:0:53/udp", "[::1]:0:53/udp"},
                {"127.0.0.1:28443:8443", "127.0.0.1:28443:8443/tcp"},
                {"0.0.0.0:80", "0.0.0.0:80:80/tcp"},
                {"[::1]:8080:80", "[::1]:8080:80/tcp"},
                {"[::]:53/udp", "[::]:53:53/udp"},
                {"[2001:0DB8:0:0:0:0:0:1]:1:2", "[2001:db8::1]:1:2/tcp"},
                {"[::ffff:192.0.2.1]:65535:65535/udp", "[::ffff:192.0.2.1]:65535:65535/udp"},
                {"[1111:2222:3333:4444:5555:6666:123.123.123.123]:65535:65535/udp",
                        "[1111:2222:3333:4444:5555:6666:7b7b:7b7b]:65535:65535/udp"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                PortForward p, again;

                assert_int_equal(port_forward_parse(cases[i].text, &p), 0);

                g_autofree char *text = port_forward_to_string(&p);

                assert_string_equal(text, cases[i].canonical);
                assert_int_equal(port_forward_parse(text, &again), 0);
                again.bare = p.bare; /* the canonical text has it all */
                assert_memory_equal(&p, &again, sizeof p);
        }
}

static void test_bad(void **state) {
        static const char *const bad[] = {
                "",
                "0",
                "65536",
                "99999",
                "123456",
                "4294967376",
                "-80",
                "+80",
                " 80",
                "80 ",
                "080",
                "0x50",
                "8e1",
                "http",
                "80-90",
                "80,81",
                "00:80",
                "80:0",
                ":80",
                "80:",
                ":",
                "1:2:3",
                "80/",
                "80/TCP",
                "80/sctp",
                "80/tcp/udp",
                "/tcp",
                "localhost:80:80",
                "256.0.0.1:80",
                "127.1:80",
                "127.0.0.01:80",
                "127.0.0.1",
                "127.0.0.1:",
                "127.0.0.1:80:80:80",
                "::1:80:80",
                "[::1]",
                "[::1]80",
                "[::1]x80",
                "[::1]:",
                "[::1",
                "[127.0.0.1]:80",
                "[fe80::1%eth0]:80",
                "[]:80",
                "80\n",
                "8\xd9\xa1",
                "127.0.0.1/8080:80",
                "80:80 none",
        };
        PortForward p = {.host = 7, .guest = 7, .address = "kept"}, before = p;
        g_autofree char *long_text = repeat('1', 4096, "");

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                if (port_forward_parse(bad[i], &p) != -EINVAL)
                        fail_msg("accepted: %s", bad[i]);
        assert_int_equal(port_forward_parse(long_text, &p), -EINVAL);
        assert_memory_equal(&p, &before, sizeof p);
}

static bool conflict(const char *a, const char *b) {
        PortForward pa, pb;

        assert_int_equal(port_forward_parse(a, &pa), 0);
        assert_int_equal(port_forward_parse(b, &pb), 0);
        assert_int_equal(port_forward_conflicts(&pa, &pb), port_forward_conflicts(&pb, &pa));
        return port_forward_conflicts(&pa, &pb);
}

static void test_bare(void **state) {
        static const struct {
                const char *text;
                bool bare;
        } cases[] = {{"80", true}, {"53/udp", true}, {"80:80", false}, {"127.0.0.1:80:80", false}, {"[::1]:80", false}};

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                PortForward p;

                assert_int_equal(port_forward_parse(cases[i].text, &p), 0);
                assert_int_equal(p.bare, cases[i].bare);
        }
}

static void test_conflicts(void **state) {
        assert_true(conflict("80", "80"));
        assert_true(conflict("80", "80:81"));
        assert_true(conflict("80", "0.0.0.0:80"));
        assert_true(conflict("80", "[::]:80"));
        assert_true(conflict("[::1]:80", "[0::1]:80:1"));
        assert_false(conflict("80", "81"));
        assert_false(conflict("0:80", "0:80"));
        assert_false(conflict("80", "81:80"));
        assert_false(conflict("80", "80/udp"));
        assert_false(conflict("80", "127.0.0.2:80"));
        assert_false(conflict("80", "[::1]:80"));
}

static void test_privileged(void **state) {
        static const struct {
                const char *text;
                bool privileged;
        } cases[] = {
                {"1023", true},
                {"0:80", false},
                {"0.0.0.0:0:80", true},
                {"1024", false},
                {"1024:80", false},
                {"80:1024", true},
                {"127.255.0.1:8080", false},
                {"0.0.0.0:8080", true},
                {"192.0.2.1:8080", true},
                {"[::1]:8080", false},
                {"[::1]:80", true},
                {"[::]:8080", true},
                {"[::ffff:127.0.0.1]:8080", true},
                {"12.7.0.0:8080", true},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                PortForward p;

                assert_int_equal(port_forward_parse(cases[i].text, &p), 0);
                assert_int_equal(port_forward_is_privileged(&p), cases[i].privileged);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_bare),
                cmocka_unit_test(test_conflicts),
                cmocka_unit_test(test_privileged),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
