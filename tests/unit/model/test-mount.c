/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths that a spec mounts: their forms, their edges, their order. */
#include <errno.h>

#include "unit.h"

#include "model/mount.h"

static void assert_mount(const char *text, const char *host, const char *guest, bool read_write) {
        HostMount m;

        assert_int_equal(host_mount_parse(text, &m), 0);
        assert_string_equal(m.host, host);
        assert_string_equal(m.guest, guest);
        assert_int_equal(m.read_write, read_write);
        host_mount_clear(&m);
}

static void test_forms(void **state) {
        assert_mount("/srv/a:/b", "/srv/a", "/b", false);
        assert_mount("/srv/a", "/srv/a", "/srv/a", false);
        assert_mount("/srv//a/:/b//c/", "/srv/a", "/b/c", false);
        assert_mount("/srv/a:/b:ro", "/srv/a", "/b", false);
        assert_mount("/srv/a:ro", "/srv/a", "/srv/a", false);
        assert_mount("/srv/a:/b:rw", "/srv/a", "/b", true);
        assert_mount("/srv/a b:/\303\244", "/srv/a b", "/\303\244", false);
}

static void test_refused(void **state) {
        static const char *const bad[] = {"", ":", "/", "/:/a", "/srv/a:", ":/a", "srv:/a", "/srv/a:b", "/srv/a:/",
                "/a:/b:/c", "/a:/b:xx", "/a:/b:ro:ro", "/srv/../etc:/a", "/srv/a:/../b", "/srv/a:/b/./c",
                "/srv/a:/proc", "/srv/a:/sys/x", "/srv/a:/dev", "/srv/a:/run/credentials/x", "/srv/a\n:/b",
                "/srv/a:/b\033"};
        g_autofree char *longest = repeat('x', GUEST_PATH_MAX - 1, ""), *longer = repeat('x', GUEST_PATH_MAX, "");
        g_autofree char *good = g_strconcat("/srv:/", longest, NULL), *guest = g_strconcat("/srv:/", longer, NULL),
                        *host = g_strconcat("/", longer, ":/a", NULL);
        HostMount m;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                if (host_mount_parse(bad[i], &m) != -EINVAL)
                        fail_msg("taken: %s", bad[i]);
        assert_int_equal(host_mount_parse(good, &m), 0);
        host_mount_clear(&m);
        assert_int_equal(host_mount_parse(guest, &m), -EINVAL);
        assert_int_equal(host_mount_parse(host, &m), -EINVAL);
        assert_true(guest_path_is_valid("/devices"));
        assert_true(guest_path_is_valid("/run/credentials2"));
        assert_false(guest_path_is_valid("/a/"));
}

/* What the question to polkit shows. */
static void test_host_paths(void **state) {
        char root[] = "/srv/r", volume[] = "/srv/v:/v", share[] = "/srv/s:/s", *none[] = {NULL},
             *volumes[] = {volume, NULL}, *shares[] = {share, NULL};
        g_autofree char *nothing = spec_host_paths(&(VMSpec){.volumes = none, .shares = none}),
                        *all = spec_host_paths(&(VMSpec){.volumes = volumes, .shares = shares, .root_directory = root}),
                        *alone = spec_host_paths(&(VMSpec){.root_directory = root});

        assert_null(nothing);
        assert_string_equal(all, "/srv/r /srv/v:/v /srv/s:/s");
        assert_string_equal(alone, "/srv/r");
}

static void test_below(void **state) {
        static const char *const roots[] = {"/srv/", "/data", NULL}, *all[] = {"/", NULL};

        assert_true(host_path_is_below("/srv/a", roots));
        assert_true(host_path_is_below("/data/a", roots));
        assert_false(host_path_is_below("/srv", roots));
        assert_false(host_path_is_below("/srvx/a", roots));
        assert_false(host_path_is_below("/dat", roots));
        assert_true(host_path_is_below("/etc", all));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_forms),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_host_paths),
                cmocka_unit_test(test_below),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
