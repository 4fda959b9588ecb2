/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines, word by word. */
#include "unit.h"

#include "qemu/argv.h"
#include "shared/launch-wire.h"

static const QEMUPlan plan = {
        .binary = "/usr/bin/qemu-system-x86_64",
        .name = "web",
        .uuid = "01234567-89ab-4cde-8f01-23456789abcd",
        .architecture = "x86_64",
        .accelerator = ACCELERATOR_TCG,
        .memory_mib = 256,
        .vcpus = 1,
        .network = true,
        .mac = "52:54:00:01:02:03",
};

static void assert_argv(char **argv, const char *const *expected) {
        size_t i;

        for (i = 0; expected[i] && argv[i]; i++)
                assert_string_equal(argv[i], expected[i]);
        assert_null(argv[i]);
        assert_null(expected[i]);
        g_strfreev(argv);
}

#define HEAD                                                                                                           \
        "/usr/bin/qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-sandbox",                     \
                "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-display", "none",         \
                "-name", "guest=web", "-uuid", "01234567-89ab-4cde-8f01-23456789abcd"
#define MACHINE "q35,usb=off,vmport=off,smm=off,hpet=off,sata=off,smbus=off,i8042=off,dump-guest-core=off,accel="
#define KERNEL                                                                                                         \
        "console=ttyS0 edd=off loglevel=4 rdinit=/init panic=-1 random.trust_cpu=on cryptomgr.notests "                \
        "rcupdate.rcu_expedited=1"
#define DISK                                                                                                           \
        "-fw_cfg", "name=opt/org.mcp/boot,file=/proc/self/fd/9", "-add-fd", "fd=10,set=1", "-blockdev",                \
                "{\"driver\":\"raw\",\"node-name\":\"root\",\"read-only\":true,\"file\":{\"driver\":\"file\","         \
                "\"filename\":\"/dev/fdset/1\",\"read-only\":true,\"locking\":\"off\"}}",                              \
                "-device", "{\"driver\":\"virtio-blk-pci\",\"id\":\"disk0\",\"drive\":\"root\",\"serial\":\"root\"}"
#define TAIL                                                                                                           \
        "-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control", "-chardev", "socket,id=serial,fd=4",     \
                "-serial", "chardev:serial", "-chardev", "socket,id=console,fd=5", "-chardev", "socket,id=guest,fd=6", \
                "-device", "{\"driver\":\"virtio-serial-pci\",\"id\":\"serial0\",\"max_ports\":2,\"vectors\":8}", "-device", \
                "{\"driver\":\"virtconsole\",\"chardev\":\"console\"}", "-device",                                     \
                "{\"driver\":\"virtserialport\",\"chardev\":\"guest\",\"name\":\"org.mcp.guest\"}", "-device",         \
                "{\"driver\":\"virtio-rng-pci\"}", NULL

/* clang-format off */
static void test_tcg_with_network(void **state) {
        static const char *const expected[] = {
                HEAD, "-machine", MACHINE "tcg", "-cpu", "max", "-smp", "1", "-m", "256M",
                "-kernel", "/proc/self/fd/7", "-initrd", "/proc/self/fd/8", "-append", KERNEL " noreplace-smp",
                DISK,
                "-netdev",
                "{\"type\":\"stream\",\"id\":\"net0\",\"server\":false,\"addr\":{\"type\":\"fd\",\"str\":\"11\"}}",
                "-device",
                "{\"driver\":\"virtio-net-pci\",\"id\":\"nic0\",\"netdev\":\"net0\",\"mac\":\"52:54:00:01:02:03\","
                "\"romfile\":\"\"}",
                TAIL,
        };

        assert_argv(qemu_argv(&plan), expected);
}

static void test_kvm_without_network(void **state) {
        static const char *const expected[] = {
                HEAD, "-machine", MACHINE "kvm", "-cpu", "host", "-smp", "4", "-m", "2048M",
                "-kernel", "/proc/self/fd/7", "-initrd", "/proc/self/fd/8", "-append", KERNEL,
                DISK,
                TAIL,
        };
        QEMUPlan p = plan;

        p.accelerator = ACCELERATOR_KVM;
        p.memory_mib = 2048;
        p.vcpus = 4;
        p.network = false;
        p.mac = NULL;
        assert_argv(qemu_argv(&p), expected);
}
/* clang-format on */

static bool contains(char **argv, const char *word) {
        return g_strv_contains((const char *const *) argv, word);
}

/* No value opens an option of its own. */
static void test_quoting(void **state) {
        QEMUPlan p = plan;

        p.name = "a,debug-threads=on,,b";
        p.mac = "\"},\"x\":\"";

        g_auto(GStrv) argv = qemu_argv(&p);

        assert_true(contains(argv, "guest=a,,debug-threads=on,,,,b"));
        assert_true(contains(argv,
                "{\"driver\":\"virtio-net-pci\",\"id\":\"nic0\",\"netdev\":\"net0\",\"mac\":\"\\\"},\\\"x\\\":\\\"\","
                "\"romfile\":\"\"}"));
}

static void test_unknown_architecture(void **state) {
        QEMUPlan p = plan;

        p.architecture = "pdp11";
        assert_null(qemu_argv(&p));
}

static void test_slots(void **state) {
        QEMUPlan p = plan;

        for (QEMUSlot s = 0; s < QEMU_SLOT_MAX; s++)
                assert_int_equal(qemu_slot_fd(&p, s), QEMU_FD_FIRST + (int) s);
        p.network = false;
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_ROOT), QEMU_FD_FIRST + 3);
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_NET), -1);
}

/* The digits are those of `printf NAME | sha256sum`. */
static void test_mac(void **state) {
        g_autofree char *mac = mac_from_name("web");

        assert_string_equal(mac, "52:54:00:4b:5e:57");
}

#define PASST                                                                                                          \
        "/usr/bin/passt", "--quiet", "--fd", "3", "--address", "10.0.2.15", "--netmask", "24",         \
                "--gateway", "10.0.2.2", "--no-map-gw"

static void test_passt(void **state) {
        static const char *const texts[] = {"8080:80", "[::1]:5353:53/udp", "0.0.0.0:443"};
        static const char *const expected[] = {PASST, "--tcp-ports", "127.0.0.1/8080:80", "--tcp-ports",
                "0.0.0.0/443:443", "--udp-ports", "::1/5353:53", NULL};
        static const char *const none[] = {PASST, "--tcp-ports", "none", "--udp-ports", "none", NULL};
        PortForward ports[G_N_ELEMENTS(texts)];
        PasstPlan p = {"/usr/bin/passt", ports, G_N_ELEMENTS(texts)}, without = {.binary = "/usr/bin/passt"};

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
                assert_int_equal(port_forward_parse(texts[i], &ports[i]), 0);
        assert_argv(passt_argv(&p), expected);
        assert_argv(passt_argv(&without), none);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tcg_with_network),
                cmocka_unit_test(test_kvm_without_network),
                cmocka_unit_test(test_quoting),
                cmocka_unit_test(test_unknown_architecture),
                cmocka_unit_test(test_slots),
                cmocka_unit_test(test_mac),
                cmocka_unit_test(test_passt),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
