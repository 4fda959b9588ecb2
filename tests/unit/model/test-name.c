/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of VMs, units and images. */
#include "unit.h"

#include <errno.h>

#include "model/name.h"

#define HEX64 "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static void test_vm_name(void **state) {
        static const char *const good[] = {"a", "0", "web", "web-1", "web.example_2", "a..", "9-"};
        static const char *const bad[] = {
                "", "-a", ".a", "_a", "Web", "a b", "a/b", "a\n", "w\xc3\xa4", "a,b", "a%b", "a@b", "..", "a:b"};
        g_autofree char *longest = repeat('a', 63, ""), *longer = repeat('a', 64, "");

        for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
                assert_true(vm_name_is_valid(good[i]));
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                assert_false(vm_name_is_valid(bad[i]));
        assert_true(vm_name_is_valid(longest));
        assert_false(vm_name_is_valid(longer));
}

static void assert_instance(const char *name, const char *expected) {
        g_autofree char *instance = vm_unit_instance(name);

        assert_string_equal(instance, expected);
        assert_true(strlen(instance) <= UNIT_INSTANCE_MAX);
        assert_null(strchr(instance, '.'));
}

/* The eight digits are those of `printf NAME | sha256sum`. */
static void test_instance(void **state) {
        assert_instance("web", "web");
        assert_instance("abcdefghijklmnopqrstuvwx", "abcdefghijklmnopqrstuvwx");
        assert_instance("abcdefghijklmnopqrstuvwxy", "abcdefghijklmno-69b98054");
        assert_instance("a.b", "a-b-2e7336dc");
        assert_instance("web.example.org-production", "web-example-org-54598ad9");
}

static void test_reference(void **state) {
        static const char *const good[] = {
                "busybox",
                "busybox:1.36",
                "library/busybox",
                "docker.io/library/busybox:latest",
                "mcr.example:8443/mcat:v1.2.0",
                "localhost/x",
                "localhost:5000/a/b__c/d---e:_tag",
                "[2001:db8::1]:5000/web:1",
                "REGISTRY/web",
                "web@sha256:" HEX64,
                "reg.example/web:1@sha256:" HEX64,
                "1.2.3.4:5000/x",
        };
        static const char *const bad[] = {
                "",
                ":",
                "web:",
                ":tag",
                "Web",
                "web/",
                "/web",
                "a//b",
                "web:-x",
                "web:.x",
                "a:b:c",
                "web tag",
                "web\n",
                "a_",
                "a___b",
                "a..b/c..d",
                "../../etc/passwd",
                "web@sha256:123",
                "web@sha256:" HEX64 "0",
                "web@md5:" HEX64,
                "@sha256:" HEX64,
                "reg.example:/x",
                "reg.example:123456/x",
                "reg.example:80a/x",
                "-reg.example/x",
                "[::g]/x",
                "w\xc3\xa4",
        };
        g_autofree char *longest = repeat('a', IMAGE_REFERENCE_MAX, ""),
                        *longer = repeat('a', IMAGE_REFERENCE_MAX + 1, "");
        g_autofree char *tag = repeat('t', 128, ""), *longer_tag = repeat('t', 129, "");
        g_autofree char *tagged = g_strconcat("web:", tag, NULL), *badly_tagged = g_strconcat("web:", longer_tag, NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
                if (!image_reference_is_valid(good[i]))
                        fail_msg("refused: %s", good[i]);
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                if (image_reference_is_valid(bad[i]))
                        fail_msg("accepted: %s", bad[i]);
        assert_true(image_reference_is_valid(longest));
        assert_false(image_reference_is_valid(longer));
        assert_true(image_reference_is_valid(tagged));
        assert_false(image_reference_is_valid(badly_tagged));
}

static void test_tag(void **state) {
        static const struct {
                const char *reference, *tag;
        } cases[] = {
                {"busybox", "latest"},
                {"busybox:1.36", "1.36"},
                {"mcr.example:8443/mcat", "latest"},
                {"mcr.example:8443/mcat:v1.2.0", "v1.2.0"},
                {"web@sha256:" HEX64, ""},
                {"web:2@sha256:" HEX64, "2"},
                {"sha256:" HEX64, ""},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *tag = image_reference_tag(cases[i].reference);

                assert_string_equal(tag, cases[i].tag);
        }
}

static void test_split(void **state) {
        static const struct {
                const char *reference, *registry, *path, *tag, *digest;
        } cases[] = {
                {"busybox", NULL, "busybox", "latest", NULL},
                {"library/busybox:1", NULL, "library/busybox", "1", NULL},
                {"localhost/web", "localhost", "web", "latest", NULL},
                {"127.0.0.1:5000/a/b:x", "127.0.0.1:5000", "a/b", "x", NULL},
                {"[::1]:5000/a@sha256:" HEX64, "[::1]:5000", "a", NULL, "sha256:" HEX64},
                {"mcr.example/a:1@sha256:" HEX64, "mcr.example", "a", "1", "sha256:" HEX64},
        };
        ImageReference r;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                assert_int_equal(image_reference_split(cases[i].reference, &r), 0);
                assert_int_equal(g_strcmp0(r.registry, cases[i].registry), 0);
                assert_string_equal(r.path, cases[i].path);
                assert_int_equal(g_strcmp0(r.tag, cases[i].tag), 0);
                assert_int_equal(g_strcmp0(r.digest, cases[i].digest), 0);
                image_reference_clear(&r);
        }
        assert_int_equal(image_reference_split("sha256:" HEX64, &r), -EINVAL);
        assert_int_equal(image_reference_split("--help", &r), -EINVAL);
}

static void test_digest(void **state) {
        assert_true(digest_is_valid("sha256:" HEX64));
        assert_false(digest_is_valid(""));
        assert_false(digest_is_valid(HEX64));
        assert_false(digest_is_valid("sha256:" HEX64 "a"));
        assert_false(digest_is_valid("sha256:9F86"));
        assert_false(digest_is_valid("sha256:9F86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"));
        assert_false(digest_is_valid("sha512:" HEX64));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_vm_name),
                cmocka_unit_test(test_instance),
                cmocka_unit_test(test_reference),
                cmocka_unit_test(test_tag),
                cmocka_unit_test(test_split),
                cmocka_unit_test(test_digest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
