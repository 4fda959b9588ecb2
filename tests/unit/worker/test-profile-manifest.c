/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests of profiles: the old form and ours, and everything that one must not be. */
#include "unit.h"

#include <stdlib.h>

#include "worker/profile-manifest.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define QEMU "\"bin/qemu-system-x86_64\":\"" A "\""
#define HEAD "\"profile\":\"kvm-linux\",\"created_at\":\"2026-05-01T10:00:00Z\""
#define WITH(objects) "{" HEAD ",\"objects\":{" objects "}}"

static profile_manifest *parse(const char *text) {
        profile_manifest *m = NULL;
        struct failure f = {};

        if (profile_manifest_parse(text, strlen(text), &m, &f) < 0)
                fail_msg("%s: %s", f.name, f.message);
        return m;
}

static void refuse(const char *text, const char *error, const char *part) {
        profile_manifest *m = NULL;
        struct failure f = {};

        assert_true(profile_manifest_parse(text, strlen(text), &m, &f) < 0);
        assert_null(m);
        if (!g_str_equal(f.name, error) || !strstr(f.message, part))
                fail_msg("%s: %s", f.name, f.message);
        failure_clear(&f);
}

/* As the system before this one wrote it: no modes, a name of its own, times with fractions and offsets. */
static void test_old_form(void **state) {
        g_autoptr(profile_manifest) m =
                parse("{\"name\":\"kvm-linux\",\"created_at\":\"2026-05-01T12:00:00.5+02:00\",\"objects\":{" QEMU
                      ",\"lib/ld-linux-x86-64.so.2\":\"" B "\",\"lib/x/deep.so\":\"" B "\",\"firmware/bios.bin\":\"" B
                      "\"},\"profile\":\"kvm-linux\",\"qemu_version\":\"9.1.0\",\"build_date\":\"2026-04-30\","
                      "\"build_host\":\"forge\",\"arch\":\"amd64\",\"total_bytes\":123,\"extra\":[1]}");
        json_t *summary = profile_manifest_summary(m);
        const profile_entry *e = m->entries->pdata[0];

        assert_int_equal(m->created_at, 1777629600500000);
        assert_int_equal(m->total_bytes, 123);
        assert_string_equal(m->qemu_version, "9.1.0");
        assert_string_equal(e->path, "bin/qemu-system-x86_64");
        assert_string_equal(e->hash, A);
        assert_true(e->executable);
        assert_int_equal(json_integer_value(json_object_get(summary, "libraries")), 2);
        assert_int_equal(json_integer_value(json_object_get(summary, "firmware")), 1);
        assert_string_equal(json_string_value(json_object_get(summary, "loader")), "lib/ld-linux-x86-64.so.2");
        assert_string_equal(
                json_string_value(json_array_get(json_object_get(summary, "programs"), 0)), "qemu-system-x86_64");
        json_decref(summary);
        for (guint i = 1; i < m->entries->len; i++) {
                e = m->entries->pdata[i];
                assert_int_equal(e->executable, g_str_has_suffix(e->path, "so.2"));
        }
}

static void test_round_trip(void **state) {
        g_autoptr(profile_manifest) m = profile_manifest_new("emulate-foreign"), again = NULL;
        struct failure f = {};
        char *text;

        m->created_at = 1777629600000007;
        m->total_bytes = 5;
        profile_manifest_add(m, "share/run.sh", A, true);
        profile_manifest_add(m, "bin/qemu-system-mips", B, true);
        profile_manifest_add(m, "lib/a.so", A, false);
        assert_int_equal(profile_manifest_check(m, &f), 0);
        text = profile_manifest_print(m);
        again = parse(text);
        free(text);
        assert_string_equal(again->profile, "emulate-foreign");
        assert_int_equal(again->created_at, m->created_at);
        assert_int_equal(again->entries->len, 3);
        for (guint i = 0; i < 3; i++) {
                const profile_entry *a = m->entries->pdata[i], *b = again->entries->pdata[i];

                assert_string_equal(a->path, b->path);
                assert_string_equal(a->hash, b->hash);
                assert_int_equal(a->executable, b->executable);
        }
}

static void test_paths(void **state) {
        static const char *const bad[] = {"../x", "/etc/passwd", "lib/../../x", "lib//x", "lib/", "", ".", "..", "./x",
                "lib/./x", "lib/a\\nb", "lib/\\u0001", "lib/\\u00e4", "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autofree char *text = g_strdup_printf(WITH(QEMU ",\"%s\":\"" A "\""), bad[i]);

                refuse(text, FAILURE_PROFILE, "the path");
        }
        {
                g_autofree char *part = g_strnfill(256, 'x');
                g_autofree char *text = g_strdup_printf(WITH(QEMU ",\"%s\":\"" A "\""), part);
                g_autofree char *longest = g_strnfill(255, 'x');
                g_autofree char *good = g_strdup_printf(WITH(QEMU ",\"%s/%s\":\"" A "\""), longest, longest);

                refuse(text, FAILURE_PROFILE, "the path");
                profile_manifest_free(parse(good));
        }
}

static void test_hashes(void **state) {
        static const char *const bad[] = {"\"abc\"", "\"\"", "\"" A "a\"",
                "\"AAAAAAAAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
                "\"zaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
                "\"../aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "7", "null", "[]",
                "\"sha256:" A "\""};

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autofree char *text = g_strdup_printf(WITH(QEMU ",\"lib/x\":%s"), bad[i]);

                refuse(text, FAILURE_PROFILE, "lib/x");
        }
}

static void test_structure(void **state) {
        refuse("", FAILURE_PROFILE, "manifest:");
        refuse("[]", FAILURE_PROFILE, "no JSON object");
        refuse("{", FAILURE_PROFILE, "manifest:");
        refuse(WITH(QEMU "," QEMU), FAILURE_PROFILE, "duplicate");
        refuse(WITH("\"lib/x\":\"" A "\""), FAILURE_PROFILE, "binaries are missing");
        refuse(WITH("\"bin/sub/qemu-system-x86_64\":\"" A "\""), FAILURE_PROFILE, "binaries are missing");
        refuse(WITH(QEMU ",\"lib\":\"" A "\",\"lib/x\":\"" A "\""), FAILURE_PROFILE, "both a file and a directory");
        refuse(WITH(QEMU ",\"lib\":\"" A "\",\"lib-x\":\"" A "\",\"lib/x\":\"" A "\""), FAILURE_PROFILE,
                "both a file and a directory");
        refuse("{" HEAD "}", FAILURE_PROFILE, "objects is not");
        refuse("{" HEAD ",\"objects\":[]}", FAILURE_PROFILE, "objects is not");
        refuse("{" HEAD ",\"objects\":{" QEMU "},\"modes\":7}", FAILURE_PROFILE, "modes is not");
        refuse("{" HEAD ",\"objects\":{" QEMU "},\"modes\":{\"bin/qemu-system-x86_64\":\"rwx\"}}", FAILURE_PROFILE,
                "mode of");
        refuse("{\"created_at\":\"2026-05-01T10:00:00Z\",\"objects\":{" QEMU "}}", FAILURE_PROFILE,
                "neither profile nor name");
        refuse("{\"profile\":\"x\",\"objects\":{" QEMU "}}", FAILURE_PROFILE, "created_at is missing");
        refuse("{\"profile\":\"x\",\"created_at\":\"yesterday\",\"objects\":{" QEMU "}}", FAILURE_PROFILE,
                "\"yesterday\"");
        refuse("{\"profile\":7,\"created_at\":\"2026-05-01T10:00:00Z\",\"objects\":{" QEMU "}}", FAILURE_PROFILE,
                "profile is not");
        refuse("{" HEAD ",\"total_bytes\":-1,\"objects\":{" QEMU "}}", FAILURE_PROFILE, "total_bytes");
        refuse("{" HEAD ",\"total_bytes\":9007199254740993,\"objects\":{" QEMU "}}", FAILURE_LIMIT, "total_bytes");
}

static char *many(unsigned n) {
        GString *s = g_string_new("{" HEAD ",\"objects\":{" QEMU);

        for (unsigned i = 1; i < n; i++)
                g_string_append_printf(s, ",\"lib/%u\":\"" A "\"", i);
        g_string_append(s, "}}");
        return g_string_free(s, FALSE);
}

static void test_limits(void **state) {
        g_autofree char *most = many(PROFILE_OBJECTS_MAX), *more = many(PROFILE_OBJECTS_MAX + 1),
                        *hundred = many(100000);
        g_autofree char *blank = g_strnfill(PROFILE_MANIFEST_MAX + 1, ' ');

        profile_manifest_free(parse(most));
        refuse(more, FAILURE_LIMIT, "20001 objects, the limit is 20000");
        refuse(hundred, FAILURE_LIMIT, "100000 objects, the limit is 20000");
        refuse(blank, FAILURE_LIMIT, "the limit is 16777216");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_old_form),
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_paths),
                cmocka_unit_test(test_hashes),
                cmocka_unit_test(test_structure),
                cmocka_unit_test(test_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
