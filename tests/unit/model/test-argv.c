/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines, word by word. */
#include "unit.h"

#include "qemu/argv.h"
#include "qemu/machine-table.h"
#include "qemu/profile-table.h"
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
                "-device", "{\"driver\":\"virtio-serial-pci\",\"id\":\"serial0\",\"max_ports\":2,\"vectors\":8}",      \
                "-device", "{\"driver\":\"virtconsole\",\"chardev\":\"console\"}", "-device",                          \
                "{\"driver\":\"virtserialport\",\"chardev\":\"guest\",\"name\":\"org.mcp.guest\"}", "-device",         \
                "{\"driver\":\"virtio-rng-pci\"}", "-device",                                                          \
                "{\"driver\":\"virtio-balloon-pci\",\"id\":\"balloon0\",\"deflate-on-oom\":true}", NULL

/* clang-format off */
static void test_tcg_with_network(void **state) {
        static const char *const expected[] = {
                HEAD, "-machine", MACHINE "tcg", "-cpu", "max", "-smp", "1", "-m", "256M",
                "-kernel", "/proc/self/fd/7", "-initrd", "/proc/self/fd/8", "-append", KERNEL " noreplace-smp no_timer_check",
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

/* No kernel, no guest port: a disk with a file over it, and the port that tells the exit code. */
static void test_nanos(void **state) {
        static const char *const expected[] = {
                HEAD, "-machine", "q35,usb=off,vmport=off,dump-guest-core=off,accel=tcg", "-cpu", "max", "-smp", "1",
                "-m", "256M", "-add-fd", "fd=7,set=1",
                "-drive", "if=none,id=root,format=raw,file=/dev/fdset/1,file.locking=off,snapshot=on",
                "-device", "{\"driver\":\"virtio-blk-pci\",\"id\":\"disk0\",\"drive\":\"root\"}",
                "-device", "{\"driver\":\"isa-debug-exit\"}", "-netdev",
                "{\"type\":\"stream\",\"id\":\"net0\",\"server\":false,\"addr\":{\"type\":\"fd\",\"str\":\"8\"}}",
                "-device",
                "{\"driver\":\"virtio-net-pci\",\"id\":\"nic0\",\"netdev\":\"net0\",\"mac\":\"52:54:00:01:02:03\","
                "\"romfile\":\"\"}",
                "-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
                "-chardev", "socket,id=serial,fd=4", "-serial", "chardev:serial", NULL,
        };
        QEMUPlan p = plan;

        p.nanos = true;
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_KERNEL), -1);
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_BOOT), -1);
        assert_argv(qemu_argv(&p), expected);
        p.architecture = "aarch64";
        assert_null(qemu_argv(&p));
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
        p.architecture = "mips"; /* no UEFI for it */
        p.uefi = true;
        assert_null(qemu_argv(&p));
}

/* By descriptor alone: neither name nor value is on the command line. */
static void test_credentials(void **state) {
        QEMUPlan p = plan;
        g_auto(GStrv) argv = NULL;

        p.credentials = true;
        argv = qemu_argv(&p);
        assert_true(contains(argv, "name=opt/org.mcp/credentials,file=/proc/self/fd/10"));
        assert_true(contains(argv, "fd=11,set=1"));
}

static void test_volumes(void **state) {
        QEMUPlan p = plan;
        g_auto(GStrv) argv = NULL;

        p.volumes = p.archives = true;
        p.n_disks = 2;
        argv = qemu_argv(&p);
        assert_true(contains(argv, "fd=13,set=16"));
        assert_true(contains(argv, "fd=14,set=17"));
        assert_true(contains(argv,
                "{\"driver\":\"raw\",\"node-name\":\"disk1\",\"read-only\":false,\"discard\":\"unmap\",\"file\":{\"driver\":"
                "\"file\",\"filename\":\"/dev/fdset/17\",\"discard\":\"unmap\",\"locking\":\"off\"}}"));
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_NET), QEMU_FD_FIRST + 8); /* behind both */
        p.n_shares = 2;
        {
                g_auto(GStrv) shared = qemu_argv(&p);

                assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_NET), QEMU_FD_FIRST + 10);
                assert_true(contains(shared,
                        "local,id=share1,path=/proc/self/fd/16,security_model=none,readonly=on,multidevs=remap"));
                assert_true(contains(
                        shared, "{\"driver\":\"virtio-9p-pci\",\"fsdev\":\"share1\",\"mount_tag\":\"share1\"}"));
        }
        assert_true(contains(argv, "fd=11,set=4"));
        assert_true(contains(argv, "fd=12,set=5"));
        assert_true(contains(argv,
                "{\"driver\":\"raw\",\"node-name\":\"archives\",\"read-only\":true,\"file\":{\"driver\":\"file\","
                "\"filename\":\"/dev/fdset/5\",\"read-only\":true,\"locking\":\"off\"}}"));
        assert_true(contains(argv,
                "{\"driver\":\"virtio-blk-pci\",\"id\":\"image1\",\"drive\":\"volumes\",\"serial\":\"volumes\"}"));
}

/* A directory in place of the disk: the kernel's words, the device, and no path of the host. */
static void test_root_directory(void **state) {
        QEMUPlan p = plan;
        g_auto(GStrv) argv = NULL;
        const char *paths[QEMU_SLOT_MAX] = {[QEMU_SLOT_KERNEL] = "/k",
                [QEMU_SLOT_INITRD] = "/i",
                [QEMU_SLOT_BOOT] = "/b",
                [QEMU_SLOT_ROOT] = "/srv/a,b"};

        p.root_directory = true;
        argv = qemu_argv(&p);
        assert_true(contains(argv, KERNEL " noreplace-smp no_timer_check root=rootfs rootfstype=9p "
                                          "rootflags=trans=virtio,version=9p2000.L,msize=131072"));
        assert_true(contains(
                argv, "local,id=rootfs,path=/proc/self/fd/10,security_model=none,readonly=on,multidevs=remap"));
        assert_true(contains(argv, "{\"driver\":\"virtio-9p-pci\",\"fsdev\":\"rootfs\",\"mount_tag\":\"rootfs\"}"));
        assert_false(contains(argv, "fd=10,set=1"));
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_NET), QEMU_FD_FIRST + 4); /* as with an image */
        p.paths = paths;
        p.network = false;
        {
                g_auto(GStrv) standalone = qemu_argv(&p);

                assert_true(contains(
                        standalone, "local,id=rootfs,path=/srv/a,,b,security_model=none,readonly=on,multidevs=remap"));
        }
}

static void test_slots(void **state) {
        static const QEMUBundle bundle = {"qemu-system-x86_64", "", false, false, false};
        QEMUPlan p = plan;

        p.uefi = p.credentials = p.volumes = p.archives = true;
        p.bundle = &bundle;
        p.n_disks = p.n_shares = 1;
        for (QEMUSlot s = 0; s < QEMU_SLOT_MAX; s++)
                assert_int_equal(qemu_slot_fd(&p, s), QEMU_FD_FIRST + (int) s);
        p.uefi = p.credentials = p.volumes = p.archives = false;
        p.bundle = NULL;
        p.n_disks = p.n_shares = 0;
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_CREDENTIALS), -1);
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_ROOT), QEMU_FD_FIRST + 3);
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_CODE), -1);
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_TPM), -1);
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_NET), QEMU_FD_FIRST + 4);
        p.network = false;
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_NET), -1);
        assert_false(qemu_boot_in_initrd(&p));
        p.architecture = "mips";
        assert_true(qemu_boot_in_initrd(&p));
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_BOOT), -1);
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_ROOT), QEMU_FD_FIRST + 2);
}

/* Every profile with every architecture that it takes, as a file of one argument a line;
 * tests/host/84-architectures.test gives the same files to the real QEMU. With MCP_GOLDEN_WRITE set they are written
 * anew. */
static void check_golden(ProfileId profile, const char *architecture) {
        g_autofree char *name = g_strdup_printf("%s-%s", profile_to_string(profile), architecture);
        g_autofree char *path = g_build_filename(g_getenv("MCP_GOLDEN"), name, NULL);
        g_autofree char *binary_name = profile_binary_name(architecture);
        g_autofree char *binary = g_build_filename("/usr/bin", binary_name, NULL);
        g_autofree char *expected = NULL;
        QEMUPlan p = plan;

        p.binary = binary;
        p.architecture = architecture;
        p.accelerator = profile_accelerator(profile);
        p.uefi = profile == PROFILE_KVM_UEFI;

        g_auto(GStrv) argv = qemu_argv(&p);

        if (!argv) {
                assert_true(p.uefi); /* the only reason */
                return;
        }

        g_autofree char *lines = g_strjoinv("\n", argv), *got = g_strconcat(lines, "\n", NULL);

        if (g_getenv("MCP_GOLDEN_WRITE"))
                assert_true(g_file_set_contents(path, got, -1, NULL));
        assert_true(g_file_get_contents(path, &expected, NULL, NULL));
        assert_string_equal(got, expected);
}

static void test_golden(void **state) {
        for (ProfileId profile = 0; profile < PROFILE_MAX; profile++)
                for (const Machine *m = machine_table(); m->architecture; m++)
                        if (profile_takes(profile, m->architecture, m->architecture))
                                check_golden(profile, m->architecture);
}

/* Both tables know the same architectures, and a row is whole. */
static void test_machines(void **state) {
        for (const Machine *m = machine_table(); m->architecture; m++) {
                assert_string_equal(profile_architecture(m->architecture), m->architecture);
                assert_true(m->image && m->machine && m->tcg_cpu && m->console && m->program && m->append);
                assert_true(m->append_tcg && m->disk && m->nic && m->serial && m->rng);
                assert_true(m->package && m->kernel && m->compiler);
                assert_true(!m->uefi || (m->display && m->tpm));
                assert_true(!m->uefi == !profile_takes(PROFILE_KVM_UEFI, m->architecture, m->architecture));
                assert_ptr_equal(machine_find(m->architecture), m);
        }
        assert_null(machine_find("pdp11"));
}

/* The digits are those of `printf NAME | sha256sum`. */
static void test_mac(void **state) {
        g_autofree char *mac = mac_from_name("web");

        assert_string_equal(mac, "52:54:00:4b:5e:57");
}

#define PASST                                                                                                          \
        "/usr/bin/passt", "--quiet", "--fd", "3", "--address", "10.0.2.15", "--netmask", "24",         \
                "--gateway", "10.0.2.2", "--gateway", "fe80::1"

static void test_passt(void **state) {
        static const char *const texts[] = {"8080:80", "[::1]:5353:53/udp", "0.0.0.0:443"};
        static const char *const expected[] = {PASST, "--tcp-ports", "127.0.0.1/8080:80", "--tcp-ports",
                "0.0.0.0/443:443", "--udp-ports", "::1/5353:53", NULL};
        static const char *const none[] = {PASST, "--tcp-ports", "none", "--udp-ports", "none", NULL};
        PortForward ports[G_N_ELEMENTS(texts)];
        PasstPlan p = {.binary = "/usr/bin/passt", .ports = ports, .n_ports = G_N_ELEMENTS(texts)}, without = {.binary = "/usr/bin/passt"};

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
                assert_int_equal(port_forward_parse(texts[i], &ports[i]), 0);
        assert_argv(passt_argv(&p), expected);
        assert_argv(passt_argv(&without), none);
}

/* A QEMU of its own build: started by its own loader, or with its libraries in its environment. */
static void test_bundle(void **state) {
        static const QEMUBundle bundles[] = {
                {"qemu-system-x86_64", "lib/ld-linux-x86-64.so.2", true, true, true},
                {"qemu-system-x86_64", "", true, false, false},
                {"qemu-system-x86_64", "", false, false, false},
        };
        static const char *const heads[][8] = {
                {"/proc/self/fd/11/lib/ld-linux-x86-64.so.2", "--library-path", "/proc/self/fd/11/lib",
                        "/proc/self/fd/11/bin/qemu-system-x86_64", "-L", "/proc/self/fd/11/firmware", "-nodefaults"},
                {"/proc/self/fd/11/bin/qemu-system-x86_64", "-nodefaults"},
                {"/proc/self/fd/11/bin/qemu-system-x86_64", "-nodefaults"},
        };
        static const char *const environments[] = {
                "QEMU_MODULE_DIR=/proc/self/fd/11/lib/qemu", "LD_LIBRARY_PATH=/proc/self/fd/11/lib", ""};
        g_auto(GStrv) none = qemu_environment(&plan);
        QEMUPlan p = plan;

        assert_null(none[0]);
        assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_BUNDLE), -1);
        for (size_t i = 0; i < G_N_ELEMENTS(bundles); i++) {
                g_auto(GStrv) argv = NULL;
                g_auto(GStrv) environment = NULL;
                g_autofree char *words = NULL;

                p.bundle = &bundles[i];
                argv = qemu_argv(&p);
                environment = qemu_environment(&p);
                words = g_strjoinv(" ", environment);
                for (size_t k = 0; heads[i][k]; k++)
                        assert_string_equal(argv[k], heads[i][k]);
                assert_string_equal(words, environments[i]);
                assert_int_equal(qemu_slot_fd(&p, QEMU_SLOT_NET), 12);
        }
}

/* Without the daemon it is found by its name. */
static void test_bundle_by_path(void **state) {
        static const QEMUBundle with_loader = {"qemu-system-x86_64", "lib/ld.so", true, true, true},
                                without = {"qemu-system-x86_64", "", true, false, false};
        static const char *const head[] = {
                "/b/x/lib/ld.so", "--library-path", "/b/x/lib", "/b/x/bin/qemu-system-x86_64", "-L", "/b/x/firmware"};
        const char *paths[QEMU_SLOT_MAX] = {[QEMU_SLOT_BUNDLE] = "/b/x"};
        g_auto(GStrv) argv = NULL;
        g_auto(GStrv) modules = NULL;
        g_auto(GStrv) libraries = NULL;
        g_auto(GStrv) uefi = NULL;
        QEMUPlan p = plan;

        for (size_t i = 0; i < QEMU_SLOT_MAX; i++)
                paths[i] = paths[i] ?: "/f";
        p.paths = paths;
        p.bundle = &with_loader;
        argv = qemu_argv(&p);
        for (size_t i = 0; i < G_N_ELEMENTS(head); i++)
                assert_string_equal(argv[i], head[i]);
        modules = qemu_environment(&p);
        assert_string_equal(modules[0], "QEMU_MODULE_DIR=/b/x/lib/qemu");
        p.bundle = &without;
        libraries = qemu_environment(&p);
        assert_string_equal(libraries[0], "LD_LIBRARY_PATH=/b/x/lib");
        p.uefi = true;
        p.name = "web";
        uefi = qemu_argv(&p);
        assert_true(contains(uefi, "unix:/run/mcp-display-web/vnc,share=ignore"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tcg_with_network),
                cmocka_unit_test(test_bundle),
                cmocka_unit_test(test_bundle_by_path),
                cmocka_unit_test(test_kvm_without_network),
                cmocka_unit_test(test_nanos),
                cmocka_unit_test(test_quoting),
                cmocka_unit_test(test_unknown_architecture),
                cmocka_unit_test(test_credentials),
                cmocka_unit_test(test_volumes),
                cmocka_unit_test(test_root_directory),
                cmocka_unit_test(test_slots),
                cmocka_unit_test(test_machines),
                cmocka_unit_test(test_golden),
                cmocka_unit_test(test_mac),
                cmocka_unit_test(test_passt),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
