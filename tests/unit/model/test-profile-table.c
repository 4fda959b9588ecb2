/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The four profiles: their words, what they need, and every combination of a choice. */
#include <errno.h>

#include "qemu/profile-table.h"
#include "unit.h"

static void test_words(void **state) {
        static const char *const bad[] = {"", "kvm", "KVM-linux", "kvm-linux ", "kvm-linu", "kvm-linux2"};

        for (ProfileId p = 0; p < PROFILE_MAX; p++)
                assert_int_equal(profile_from_string(profile_to_string(p)), p);
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                assert_int_equal(profile_from_string(bad[i]), PROFILE_INVALID);
        assert_int_equal(profile_from_string(NULL), PROFILE_INVALID);
        assert_null(profile_to_string(PROFILE_INVALID));
        assert_null(profile_to_string(PROFILE_MAX));
}

static void test_needs(void **state) {
        for (ProfileId p = 0; p < PROFILE_MAX; p++) {
                bool kvm = g_str_has_prefix(profile_to_string(p), "kvm-");

                assert_int_equal(profile_needs_kvm(p), kvm);
                assert_int_equal(profile_needs_tcg(p), !kvm);
                assert_int_equal(profile_accelerator(p), kvm ? ACCELERATOR_KVM : ACCELERATOR_TCG);
        }
}

static void assert_architectures(ProfileId p, const char *host, const char *expected) {
        g_autofree const char **list = profile_architectures(p, host);
        g_autofree char *text = g_strjoinv(" ", (char **) list);

        assert_string_equal(text, expected);
}

static void test_architectures(void **state) {
        assert_architectures(PROFILE_KVM_LINUX, "x86_64", "x86_64");
        assert_architectures(PROFILE_KVM_LINUX, "aarch64", "aarch64");
        assert_architectures(PROFILE_KVM_UEFI, "x86_64", "x86_64");
        assert_architectures(PROFILE_KVM_UEFI, "riscv64", "");
        assert_architectures(PROFILE_EMULATE_X86, "x86_64", "x86_64");
        assert_architectures(PROFILE_EMULATE_X86, "aarch64", "x86_64");
        assert_architectures(PROFILE_EMULATE_FOREIGN, "x86_64", "aarch64 arm riscv64 mips ppc64");
        assert_string_equal(profile_architecture("amd64"), "x86_64");
        assert_string_equal(profile_architecture("arm64"), "aarch64");
        assert_string_equal(profile_architecture(""), "x86_64");
        assert_null(profile_architecture("s390x"));
        assert_null(profile_architecture("x86_64 "));
}

static void test_binary(void **state) {
        static const char *const names[][2] = {{"", "qemu-system-x86_64"}, {"x86_64", "qemu-system-x86_64"},
                {"aarch64", "qemu-system-aarch64"}, {"ppc64", "qemu-system-ppc64"}};

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                g_autofree char *name = profile_binary_name(names[i][0]);

                assert_string_equal(name, names[i][1]);
        }
}

#define FOREIGN PROFILE_EMULATE_FOREIGN

/* What the rules say, written down anew for each cell: host, KVM, mode, system, and the guest's architecture. */
static const struct {
        const char *host;
        bool kvm;
        const char *mode, *os;
        ProfileId x86_64, aarch64, other; /* other: arm riscv64 mips ppc64 */
} cells[] = {
        {"x86_64", true, "hybrid-emulated", "linux", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"x86_64", true, "hybrid-emulated", "windows", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"x86_64", true, "hybrid-emulated", "uefi", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"x86_64", true, "hybrid-emulated", "", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"x86_64", true, "hybrid-kvm", "linux", PROFILE_KVM_LINUX, FOREIGN, FOREIGN},
        {"x86_64", true, "hybrid-kvm", "windows", PROFILE_KVM_UEFI, FOREIGN, FOREIGN},
        {"x86_64", true, "hybrid-kvm", "Windows", PROFILE_KVM_UEFI, FOREIGN, FOREIGN},
        {"x86_64", true, "hybrid-kvm", "uefi", PROFILE_KVM_UEFI, FOREIGN, FOREIGN},
        {"x86_64", true, "hybrid-kvm", "", PROFILE_KVM_LINUX, FOREIGN, FOREIGN},
        {"x86_64", true, "auto", "linux", PROFILE_KVM_LINUX, FOREIGN, FOREIGN},
        {"x86_64", true, "auto", "windows", PROFILE_KVM_LINUX, FOREIGN, FOREIGN},
        {"x86_64", true, "auto", "uefi", PROFILE_KVM_LINUX, FOREIGN, FOREIGN},
        {"x86_64", true, "", "", PROFILE_KVM_LINUX, FOREIGN, FOREIGN},
        {"x86_64", false, "hybrid-emulated", "linux", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"x86_64", false, "hybrid-emulated", "windows", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"x86_64", false, "hybrid-emulated", "uefi", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"x86_64", false, "hybrid-kvm", "linux", PROFILE_KVM_LINUX, FOREIGN, FOREIGN},
        {"x86_64", false, "hybrid-kvm", "windows", PROFILE_KVM_UEFI, FOREIGN, FOREIGN},
        {"x86_64", false, "hybrid-kvm", "uefi", PROFILE_KVM_UEFI, FOREIGN, FOREIGN},
        {"x86_64", false, "auto", "linux", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"x86_64", false, "auto", "windows", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"x86_64", false, "HYBRID-KVM", "linux", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"aarch64", true, "hybrid-emulated", "linux", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"aarch64", true, "hybrid-kvm", "linux", PROFILE_EMULATE_X86, PROFILE_KVM_LINUX, FOREIGN},
        {"aarch64", true, "hybrid-kvm", "uefi", PROFILE_EMULATE_X86, PROFILE_KVM_UEFI, FOREIGN},
        {"aarch64", true, "auto", "linux", PROFILE_EMULATE_X86, PROFILE_KVM_LINUX, FOREIGN},
        {"aarch64", false, "auto", "linux", PROFILE_EMULATE_X86, FOREIGN, FOREIGN},
        {"aarch64", false, "hybrid-kvm", "windows", PROFILE_EMULATE_X86, PROFILE_KVM_UEFI, FOREIGN},
};

static void test_selection(void **state) {
        static const char *const guests[] = {
                "x86_64", "amd64", "", "aarch64", "arm64", "arm", "riscv64", "mips", "ppc64"};

        for (size_t i = 0; i < G_N_ELEMENTS(cells); i++)
                for (size_t a = 0; a < G_N_ELEMENTS(guests); a++) {
                        ProfileHost host = {cells[i].host, cells[i].kvm};
                        ProfileId expected = a < 3 ? cells[i].x86_64 : a < 5 ? cells[i].aarch64 : cells[i].other, found;
                        g_autofree char *why = NULL;

                        assert_int_equal(
                                profile_select(cells[i].mode, guests[a], cells[i].os, &host, &found, &why, NULL), 0);
                        assert_int_equal(found, expected);
                        assert_true(profile_takes(found, profile_architecture(guests[a]), host.architecture));
                        assert_non_null(strstr(why, profile_to_string(found)));
                }
}

static void test_unknown_architecture(void **state) {
        static const char *const bad[] = {"s390x", "X86_64", "x86_64\n", "../x86_64", "sparc"};
        ProfileHost host = {"x86_64", true};

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autoptr(Problem) problem = NULL;
                ProfileId p = PROFILE_INVALID;

                assert_int_equal(profile_select("auto", bad[i], "linux", &host, &p, NULL, &problem), -EOPNOTSUPP);
                assert_string_equal(problem->error, "NotSupported");
                assert_non_null(strstr(problem->text, "'riscv64'"));
                assert_int_equal(p, PROFILE_INVALID);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_needs),
                cmocka_unit_test(test_architectures),
                cmocka_unit_test(test_binary),
                cmocka_unit_test(test_selection),
                cmocka_unit_test(test_unknown_architecture),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
