/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names in a store of profiles. */
#include "unit.h"

#include "shared/profile-path.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_refs(void **state) {
        assert_true(profile_ref_is_of("kvm-linux-" HEX64 ".json", "kvm-linux"));
        assert_true(profile_ref_is_of("kvm-linux-01234567.json", "kvm-linux"));
        assert_false(profile_ref_is_of("kvm-linux-debug-01234567.json", "kvm-linux"));
        assert_false(profile_ref_is_of("kvm-linux-01234567.json", "kvm"));
        assert_false(profile_ref_is_of("kvm-linux-" HEX64 "0.json", "kvm-linux"));
        assert_false(profile_ref_is_of("kvm-linux-0123456.json", "kvm-linux"));
        assert_false(profile_ref_is_of("kvm-linux-0123456G.json", "kvm-linux"));
        assert_false(profile_ref_is_of("kvm-linux-01234567.json.bak", "kvm-linux"));
        assert_false(profile_ref_is_of("kvm-linux.json", "kvm-linux"));
        assert_false(profile_ref_is_of("kvm-uefi-01234567.json", "kvm-linux"));
        assert_false(profile_ref_is_of("", "kvm-linux"));
}

static void test_paths(void **state) {
        static const char *const good[] = {
                "a", "bin/qemu-system-x86_64", "lib/a b", "...", "a/.b/..c", "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"};
        static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\nb",
                "a\x7f", "\xc3\xa4", "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};

        for (size_t i = 0; i < sizeof good / sizeof *good; i++)
                assert_true(profile_path_is_valid(good[i]));
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                assert_false(profile_path_is_valid(bad[i]));
}

static void test_kinds(void **state) {
        assert_true(profile_path_is_loader("lib/ld-linux-x86-64.so.2"));
        assert_true(profile_path_is_loader("lib/ld-musl-aarch64.so.1"));
        assert_false(profile_path_is_loader("lib/x/ld-linux.so.2"));
        assert_false(profile_path_is_loader("bin/ld-linux.so.2"));
        assert_false(profile_path_is_loader("lib/ld-linux/x"));
        assert_true(profile_path_is_executable("bin/x"));
        assert_false(profile_path_is_executable("lib/libc.so.6"));
        assert_true(profile_hash_is_valid(HEX64));
        assert_false(profile_hash_is_valid("0" HEX64));
        assert_false(profile_hash_is_valid("0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refs),
                cmocka_unit_test(test_paths),
                cmocka_unit_test(test_kinds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
