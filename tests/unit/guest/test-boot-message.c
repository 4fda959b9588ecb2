/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The boot message: what it says, and every way to get it wrong. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "guest/boot-message.h"
#include "shared/guest-wire.h"

/* A message of string literals: the NUL of each entry is written, the last one is the literal's own. */
#define MESSAGE(text) text, sizeof(text)

static void test_whole(void **state) {
        struct boot_message m;
        struct failure f;

        assert_int_equal(
                boot_message_parse(MESSAGE("version=1\0root=disk0\0hostname=web-1\0arg=/bin/sh\0arg=\0arg=a=b c\0"
                                           "env=A=1\0env=B=\0user=web:staff\0workdir=/srv\0stop-signal=3\0"
                                           "address=10.0.2.15/24\0gateway=10.0.2.2\0dns=10.0.2.3\0dns=fd00::1\0"
                                           "search=a.example\0host=10.1.1.1 db\0host=fd00::2 db6.x_y\0"
                                           "mount=volume volumes/0 /a b\0mount=volume archives/12 /c\0console=hvc1"),
                        &m, &f),
                0);
        assert_string_equal(m.root, "disk0");
        assert_string_equal(m.console, "hvc1");
        assert_string_equal(m.hostname, "web-1");
        assert_int_equal(m.args.n, 3);
        assert_string_equal(m.args.items[0], "/bin/sh");
        assert_string_equal(m.args.items[1], "");
        assert_string_equal(m.args.items[2], "a=b c");
        assert_null(m.args.items[3]);
        assert_int_equal(m.environment.n, 2);
        assert_string_equal(m.environment.items[1], "B=");
        assert_string_equal(m.user, "web:staff");
        assert_string_equal(m.workdir, "/srv");
        assert_int_equal(m.stop_signal, 3);
        assert_true(m.has_address);
        assert_int_equal(m.address.s_addr, inet_addr("10.0.2.15"));
        assert_int_equal(m.prefix, 24);
        assert_true(m.has_gateway);
        assert_int_equal(m.gateway.s_addr, inet_addr("10.0.2.2"));
        assert_int_equal(m.dns.n, 2);
        assert_string_equal(m.dns.items[1], "fd00::1");
        assert_string_equal(m.search.items[0], "a.example");
        assert_string_equal(m.hosts.items[0], "10.1.1.1 db");
        assert_string_equal(m.hosts.items[1], "fd00::2 db6.x_y");
        assert_int_equal(m.mounts.n, 2);
        boot_message_done(&m);
        assert_null(m.data);
        boot_message_done(&m);
}

static void test_mounts(void **state) {
        static const char *const bad[] = {"", "volume", "volume ", "volume x", "volume x ", "volume x y", "other x /y",
                "volume  /y", "volume a;b /y", "volume abcdefghijklmnopqrstuvwxyz0123456 /y"};
        struct boot_mount m = {.path = "untouched"};

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(boot_mount_parse(bad[i], &m), -EBADMSG);
        assert_string_equal(m.path, "untouched");
        assert_int_equal(boot_mount_parse("volume volumes/3 /a b", &m), 0);
        assert_int_equal(m.kind, MOUNT_VOLUME);
        assert_string_equal(m.tag, "volumes/3");
        assert_string_equal(m.path, "/a b");
        assert_int_equal(boot_mount_parse("disk disk0 /data", &m), 0);
        assert_int_equal(m.kind, MOUNT_DISK);
        assert_string_equal(m.tag, "disk0");
        assert_int_equal(boot_mount_parse("share share1 /www", &m), 0);
        assert_int_equal(m.kind, MOUNT_SHARE);
}

static void test_defaults(void **state) {
        struct boot_message m;
        struct failure f;

        assert_int_equal(boot_message_parse(MESSAGE("version=1\0arg=x\0workdir="), &m, &f), 0);
        assert_string_equal(m.root, "root");
        assert_null(m.hostname);
        assert_string_equal(m.user, "");
        assert_string_equal(m.workdir, "/");
        assert_int_equal(m.stop_signal, 15);
        assert_false(m.has_address);
        assert_false(m.has_gateway);
        assert_int_equal(m.environment.n, 0);
        assert_null(m.environment.items);
        boot_message_done(&m);
}

static void test_result_untouched(void **state) {
        struct boot_message m = {.prefix = 77};
        struct failure f;

        assert_int_equal(boot_message_parse(MESSAGE("version=1\0arg=x\0bad=1"), &m, &f), -EBADMSG);
        assert_int_equal(m.prefix, 77);
        assert_null(m.data);
}

static void test_refused(void **state) {
        static const struct {
                const char *data;
                size_t len;
                const char *reason;
        } cases[] = {
                {"", 0, "empty"},
                {"version=1", 9, "cut off"},
                {"version=1\0arg=x", 15, "cut off"},
                {"version=1\0arg=x\0y", 17, "cut off"},
                {MESSAGE("arg=x\0version=1"), "begins with 'arg'"},
                {MESSAGE("version=2\0arg=x"), "version '2' is not known"},
                {MESSAGE("version=\0arg=x"), "version '' is not known"},
                {MESSAGE("version=01x\0arg=x"), "version '01x'"},
                {MESSAGE("version=99999999999999999999999\0arg=x"), "is not known"},
                {MESSAGE("version=1\0version=1\0arg=x"), "'version' is there twice"},
                {MESSAGE("version=1"), "no program"},
                {MESSAGE("version=1\0arg=\0arg=x"), "no program"},
                {MESSAGE("version=1\0arg"), "'arg' is not key=value"},
                {MESSAGE("version=1\0arg=x\0"), "'' is not key=value"},
                {MESSAGE("version=1\0arg=x\0=x"), "key '' is not known"},
                {MESSAGE("version=1\0arg=x\0Arg=x"), "key 'Arg' is not known"},
                {MESSAGE("version=1\0arg=x\0a\nb=x"), "key 'a?b' is not known"},
                {MESSAGE("version=1\0arg=x\0user=a\0user=b"), "'user' is there twice"},
                {MESSAGE("version=1\0arg=x\0hostname=a\0hostname=a"), "'hostname' is there twice"},
                {MESSAGE("version=1\0arg=x\0mount=volume a b"), "mount 'volume a b'"},
                {MESSAGE("version=1\0arg=x\0root="), "root ''"},
                {MESSAGE("version=1\0arg=x\0root=abcdefghijklmnopqrstu"), "1 to 20"},
                {MESSAGE("version=1\0arg=x\0hostname="), "hostname ''"},
                {MESSAGE("version=1\0arg=x\0hostname=-a"), "hostname '-a'"},
                {MESSAGE("version=1\0arg=x\0hostname=a b"), "hostname 'a b'"},
                {MESSAGE("version=1\0arg=x\0hostname=a\n1.2.3.4 evil"), "hostname 'a?1.2.3.4 evil'"},
                {MESSAGE("version=1\0arg=x\0hostname="
                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                        "1 to 64"},
                {MESSAGE("version=1\0arg=x\0env=A"), "env 'A' is not KEY=VALUE"},
                {MESSAGE("version=1\0arg=x\0env==A"), "env '=A' is not KEY=VALUE"},
                {MESSAGE("version=1\0arg=x\0workdir=srv"), "workdir 'srv' is not an absolute path"},
                {MESSAGE("version=1\0arg=x\0stop-signal=0"), "stop-signal '0'"},
                {MESSAGE("version=1\0arg=x\0stop-signal=65"), "stop-signal '65'"},
                {MESSAGE("version=1\0arg=x\0stop-signal=-1"), "stop-signal '-1'"},
                {MESSAGE("version=1\0arg=x\0stop-signal="), "stop-signal ''"},
                {MESSAGE("version=1\0arg=x\0stop-signal=TERM"), "from 1 to 64"},
                {MESSAGE("version=1\0arg=x\0address=10.0.0.1"), "address '10.0.0.1'"},
                {MESSAGE("version=1\0arg=x\0address=10.0.0.1/"), "address '10.0.0.1/'"},
                {MESSAGE("version=1\0arg=x\0address=10.0.0.1/0"), "from 1 to 32"},
                {MESSAGE("version=1\0arg=x\0address=10.0.0.1/33"), "from 1 to 32"},
                {MESSAGE("version=1\0arg=x\0address=10.0.0/24"), "address '10.0.0/24'"},
                {MESSAGE("version=1\0arg=x\0address=fd00::1/64"), "address 'fd00::1/64'"},
                {MESSAGE("version=1\0arg=x\0address=/24"), "address '/24'"},
                {MESSAGE("version=1\0arg=x\0address=100.100.100.1000000/24"), "IPV4/PREFIX"},
                {MESSAGE("version=1\0arg=x\0gateway=10.0.0.1"), "gateway without address"},
                {MESSAGE("version=1\0arg=x\0address=10.0.0.2/24\0gateway=x"), "gateway 'x'"},
                {MESSAGE("version=1\0arg=x\0dns="), "dns ''"},
                {MESSAGE("version=1\0arg=x\0ready=yes"), "ready 'yes'"},
                {MESSAGE("version=1\0arg=x\0ready=message 0 1000000 1000000\0ready=message 0 1000000 1000000"),
                        "'ready' is there twice"},
                {MESSAGE("version=1\0arg=x\0health=http 80 1000000 1000000"), "health 'http 80 1000000 1000000'"},
                {MESSAGE("version=1\0arg=x\0dns=1.1.1.1\noptions x"), "dns '1.1.1.1?options x'"},
                {MESSAGE("version=1\0arg=x\0search=a b"), "search 'a b'"},
                {MESSAGE("version=1\0arg=x\0host=10.0.0.1"), "host '10.0.0.1'"},
                {MESSAGE("version=1\0arg=x\0host=db 10.0.0.1"), "host 'db 10.0.0.1'"},
                {MESSAGE("version=1\0arg=x\0host=10.0.0.1 a b"), "host '10.0.0.1 a b'"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct boot_message m;
                struct failure f;
                /* Exactly as long as it says, for the address sanitizer. */
                char *data = malloc(cases[i].len + 1);

                assert_non_null(data);
                memcpy(data + 1, cases[i].data, cases[i].len);
                assert_int_equal(boot_message_parse(data + 1, cases[i].len, &m, &f), -EBADMSG);
                assert_contains(f.text, cases[i].reason);
                free(data);
        }
}

/* A message of exactly len bytes. */
static char *message_of(size_t len) {
        static const char head[] = "version=1\0arg=x\0user=";
        char *data = malloc(len);

        assert_non_null(data);
        memcpy(data, head, sizeof(head) - 1);
        for (size_t i = sizeof(head) - 1; i < len; i++)
                data[i] = 'u';
        data[len - 1] = 0;
        return data;
}

static void test_size_limit(void **state) {
        struct boot_message m;
        struct failure f;
        char *data;

        data = message_of(GUEST_BOOT_MAX);
        assert_int_equal(boot_message_parse(data, GUEST_BOOT_MAX, &m, &f), 0);
        assert_true(strlen(m.user) > GUEST_BOOT_MAX - 100);
        boot_message_done(&m);
        free(data);

        data = message_of(GUEST_BOOT_MAX + 1);
        assert_int_equal(boot_message_parse(data, GUEST_BOOT_MAX + 1, &m, &f), -EBADMSG);
        assert_contains(f.text, "at most 262144");
        free(data);
}

/* A list that grows through many sizes. */
static void test_many_arguments(void **state) {
        struct boot_message m;
        struct failure f;
        char *data;

        data = malloc(10 + 6 * 40000);
        assert_non_null(data);
        memcpy(data, "version=1", 10);
        for (size_t i = 0; i < 40000; i++)
                memcpy(data + 10 + 6 * i, i % 2 ? "arg=x" : "arg=y", 6);
        assert_int_equal(boot_message_parse(data, 10 + 6 * 40000, &m, &f), 0);
        assert_int_equal(m.args.n, 40000);
        for (size_t i = 0; i < 40000; i++)
                assert_string_equal(m.args.items[i], i % 2 ? "x" : "y");
        assert_null(m.args.items[40000]);
        boot_message_done(&m);
        free(data);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whole),
                cmocka_unit_test(test_mounts),
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_result_untouched),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_size_limit),
                cmocka_unit_test(test_many_arguments),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
