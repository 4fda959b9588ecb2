/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The texts of /etc/hosts and /etc/resolv.conf. */
#include "unit.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "guest/etc-text.h"

#define LOCALHOST "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"

static void assert_text(char *text, const char *expected) {
        assert_non_null(text);
        assert_string_equal(text, expected);
        free(text);
}

static void test_hosts(void **state) {
        char db[] = "10.1.1.1 db", db6[] = "fd00::2 db6";
        char *items[] = {db, db6, NULL};
        struct boot_message m = {};

        assert_text(etc_hosts_text(&m), LOCALHOST);
        m.hostname = "web";
        assert_text(etc_hosts_text(&m), LOCALHOST "127.0.1.1 web\n");
        m.has_address = true;
        m.address.s_addr = inet_addr("10.0.2.15");
        m.hosts = (struct string_list){items, 2};
        assert_text(etc_hosts_text(&m), LOCALHOST "10.0.2.15 web\n10.1.1.1 db\nfd00::2 db6\n");
}

static void test_resolv(void **state) {
        char a[] = "a.example", b[] = "b.example", one[] = "10.0.2.3", two[] = "fd00::3";
        char *domains[] = {a, b, NULL}, *servers[] = {one, two, NULL};
        struct boot_message m = {.dns = {servers, 2}};

        assert_text(etc_resolv_text(&m), "nameserver 10.0.2.3\nnameserver fd00::3\n");
        m.search = (struct string_list){domains, 2};
        assert_text(etc_resolv_text(&m), "search a.example b.example\nnameserver 10.0.2.3\nnameserver fd00::3\n");
        m.dns.n = 0;
        assert_text(etc_resolv_text(&m), "search a.example b.example\n");
        m.search.n = 0;
        assert_text(etc_resolv_text(&m), "");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hosts),
                cmocka_unit_test(test_resolv),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
