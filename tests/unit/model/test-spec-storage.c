/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of a spec that name files, disks and secrets: each check at its edge. */
#include <errno.h>

#include "spec-case.h"

static void test_credentials(void **state) {
        g_autofree char *name = repeat('n', SPEC_CREDENTIAL_NAME_MAX, "");
        g_autofree char *longest = g_strdup_printf("'Credentials': {'%s': %u}", name, SPEC_CREDENTIAL_BYTES_MAX);
        json_t *many = json_object();

        assert_good(longest);
        assert_good("'Credentials': {}");
        assert_problem("'Credentials': {'a': 65536, 'b': 1}", "Credentials",
                "Credentials: has 65537 bytes in all, at most 65536 are accepted");
        assert_problem("'Credentials': {'a/b': 1}", "Credentials",
                "Credentials: 'a/b' is not a name of 1 to 64 of [A-Za-z0-9._-] that does not begin with a dot");
        assert_problem("'Credentials': {'..': 1}", "Credentials",
                "Credentials: '..' is not a name of 1 to 64 of [A-Za-z0-9._-] that does not begin with a dot");
        assert_problem("'Credentials': {'': 1}", "Credentials",
                "Credentials: '' is not a name of 1 to 64 of [A-Za-z0-9._-] that does not begin with a dot");
        for (unsigned i = 0; i < SPEC_CREDENTIALS_MAX; i++) {
                g_autofree char *key = g_strdup_printf("k%u", i);

                json_object_set_new(many, key, json_integer(1));
        }
        json_t *spec = json_pack("{s:s, s:O}", "Image", "web", "Credentials", many);
        g_autoptr(GPtrArray) problems = problems_new();
        g_autoptr(VMSpec) parsed = NULL;

        assert_int_equal(parse_object(spec, &limits, problems, &parsed), 0);
        assert_int_equal(g_strv_length(parsed->credentials), SPEC_CREDENTIALS_MAX);
        json_object_set_new(many, "more", json_integer(1));
        assert_problem_object(json_pack("{s:s, s:o}", "Image", "web", "Credentials", many), "Credentials",
                "Credentials: has 33 entries, at most 32 are accepted");
}

static void test_volumes(void **state) {
        assert_good("'Volumes': ['/srv/a', '/data/b:/b:ro'], 'VolumeArchives': ['/c', '/c/d']");
        assert_problem("'Volumes': ['/etc:/b']", "Volumes",
                "Volumes: '/etc:/b' is not below one of: /srv, /data/ (VolumeRoots= in runtime.conf)");
        assert_problem("'Volumes': ['/srv/a:/b', '/srv/c:/b/']", "Volumes",
                "Volumes: '/b' is not a path of the guest of its own: another mount has the same");
        assert_problem("'Volumes': ['/srv/a:/b'], 'VolumeArchives': ['/b']", "VolumeArchives",
                "VolumeArchives: '/b' is not a path of the guest of its own: another mount has the same");
        assert_problem("'VolumeArchives': ['b']", "VolumeArchives",
                "VolumeArchives: 'b' is not an absolute path of the guest of at most 1024 bytes, without ':' and empty, '.' and "
                "'..' parts, outside of /proc, /sys, /dev and /run/credentials");
        assert_problem("'VolumeArchives': ['/1','/2','/3','/4','/5','/6','/7','/8','/9']", "VolumeArchives",
                "VolumeArchives: has 9 elements, at most 8 are accepted");
}

static void test_disks(void **state) {
        g_autoptr(VMSpec) s = good("'Disks': [['/data', 16777216, 'db'], ['/log', 0, 'old']]");
        static const char size[] = " is no size of a disk: expected a multiple of 4096 from 16777216 to 17592186044416, or 0 for one "
                                   "that is there";
        g_autofree char *small = g_strconcat("Disks: 16773120", size, NULL), *odd = g_strconcat("Disks: 16777217", size, NULL),
                        *large = g_strconcat("Disks: 17592186048512", size, NULL);
        json_t *many = json_array();

        assert_int_equal(s->n_disks, 2);
        assert_string_equal(s->disks[0].path, "/data");
        assert_int_equal(s->disks[0].bytes, 16777216);
        assert_string_equal(s->disks[1].name, "old");
        assert_good("'Disks': [['/data', 17592186044416, 'db']]");
        assert_problem("'Disks': [['/data', 16773120, 'db']]", "Disks", small);
        assert_problem("'Disks': [['/data', 16777217, 'db']]", "Disks", odd);
        assert_problem("'Disks': [['/data', 17592186048512, 'db']]", "Disks", large);
        assert_problem("'Disks': [['/a', 0, 'db'], ['/b', 0, 'db']]", "Disks",
                "Disks: 'db' is not a disk of its own: it is named twice");
        assert_problem("'Volumes': ['/srv/a:/a'], 'Disks': [['/a', 0, 'db']]", "Disks",
                "Disks: '/a' is not a path of the guest of its own: another mount has the same");
        for (unsigned i = 0; i <= SPEC_DISKS_MAX; i++)
                json_array_append_new(many, json_pack("[s, i, s]", "/x", 0, "x"));
        assert_problem_object(json_pack("{s:s, s:o}", "Image", "web", "Disks", many), "Disks",
                "Disks: has 13 elements, at most 12 are accepted");
}

static void test_shares(void **state) {
        assert_good("'Shares': ['/srv/a:/a', '/data/b:ro']");
        assert_problem("'Shares': ['/etc:/a']", "Shares",
                "Shares: '/etc:/a' is not below one of: /srv, /data/ (VolumeRoots= in runtime.conf)");
        assert_problem("'Shares': ['/srv/1','/srv/2','/srv/3','/srv/4','/srv/5','/srv/6','/srv/7','/srv/8','/srv/9']", "Shares",
                "Shares: has 9 elements, at most 8 are accepted");
        assert_problem("'Disks': [['/a', 0, 'db']], 'Shares': ['/srv/a:/a']", "Shares",
                "Shares: '/a' is not a path of the guest of its own: another mount has the same");
}

#define ROOTED "'Image': '', 'Command': ['/bin/app'], "

static void test_root_directory(void **state) {
        static const struct {
                const char *members, *key, *text;
        } bad[] = {
                {ROOTED "'RootDirectory': 'srv/a'", "RootDirectory",
                        "RootDirectory: 'srv/a' is not an absolute path of a directory of the host, of at most 1024 "
                        "bytes, "
                        "without '.', '..' and control characters"},
                {ROOTED "'RootDirectory': '/srv/../etc'", "RootDirectory", NULL},
                {ROOTED "'RootDirectory': '/srv/./a'", "RootDirectory", NULL},
                {ROOTED "'RootDirectory': '/'", "RootDirectory", NULL},
                {ROOTED "'RootDirectory': '/srv/a\\u0001'", "RootDirectory", NULL},
                {ROOTED "'RootDirectory': ''", "Image",
                        "Image: is required: a reference [registry/]path[:tag][@sha256:hex] or a digest sha256:hex"},
                {"'Image': '', 'Command': ['a']", "Image", NULL},
                {ROOTED "'RootDirectory': '/etc/a'", "RootDirectory",
                        "RootDirectory: '/etc/a' is not below one of: /srv, /data/ (VolumeRoots= in runtime.conf)"},
                {ROOTED "'RootDirectory': '/srv'", "RootDirectory", NULL},
                {ROOTED "'RootDirectory': '/srvx/a'", "RootDirectory", NULL},
                {"'Image': 'web', 'Command': ['a'], 'RootDirectory': '/srv/a'", "RootDirectory",
                        "RootDirectory: is the root in place of an image; leave one of RootDirectory and Image out"},
                {ROOTED "'RootDirectory': '/srv/a', 'Target': 'nanos'", "RootDirectory",
                        "RootDirectory: is not known to a guest of Target 'nanos'; leave it out"},
                {"'Image': '', 'RootDirectory': '/srv/a'", "Command",
                        "Command: is required with RootDirectory, which names no program of its own"},
                {"'Image': '', 'RootDirectory': '/srv/a', 'Command': ['', 'x']", "Command", NULL},
                {ROOTED "'RootDirectory': 1", "RootDirectory", NULL},
                {"'Image': 'a b'", "Image", NULL},
                {"'Image': 1", "Image", NULL},
        };
        g_autoptr(VMSpec) s = good(ROOTED "'RootDirectory': '/srv//a:b/c/'"), copy = vm_spec_copy(s);
        g_autofree char *longest = g_strdup_printf(ROOTED "'RootDirectory': '/srv/%01019d'", 0),
                        *longer = g_strdup_printf(ROOTED "'RootDirectory': '/srv/%01020d'", 0);

        assert_string_equal(s->root_directory, "/srv//a:b/c/");
        assert_string_equal(copy->root_directory, s->root_directory);
        assert_string_equal(s->image, "");
        assert_good(longest);
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autoptr(GPtrArray) problems = problems_new();
                VMSpec *spec = NULL;
                const Problem *p;

                assert_int_equal(parse_object(object_of(bad[i].members), &limits, problems, &spec), -EINVAL);
                assert_int_equal(problems->len, 1);
                p = problems->pdata[0];
                assert_string_equal(p->key, bad[i].key);
                if (bad[i].text)
                        assert_string_equal(p->text, bad[i].text);
        }
        {
                g_autoptr(GPtrArray) problems = problems_new();
                VMSpec *spec = NULL;

                assert_int_equal(parse_object(object_of(longer), &limits, problems, &spec), -EINVAL);
        }
}

static void test_disk_names(void **state) {
        static const char *const bad[] = {"", "..", "../x", "A", "a b", "-x"};

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autoptr(GPtrArray) problems = problems_new();
                VMSpec *spec = NULL;

                assert_int_equal(parse_object(json_pack("{s:s, s:[[s, i, s]]}", "Image", "web", "Disks", "/d", 0, bad[i]), &limits,
                                         problems, &spec),
                        -EINVAL);
        }
}

static void test_volume_count(void **state) {
        json_t *many = json_array();
        g_autoptr(GPtrArray) problems = problems_new();
        VMSpec *spec = NULL;

        for (unsigned i = 0; i < SPEC_VOLUMES_MAX; i++) {
                g_autofree char *text = g_strdup_printf("/srv/%u", i);

                json_array_append_new(many, json_string(text));
        }
        assert_int_equal(
                parse_object(json_pack("{s:s, s:O}", "Image", "web", "Volumes", many), &limits, problems, &spec), 0);
        vm_spec_free(spec);
        json_array_append_new(many, json_string("/srv/more"));
        assert_problem_object(json_pack("{s:s, s:o}", "Image", "web", "Volumes", many), "Volumes",
                "Volumes: has 33 elements, at most 32 are accepted");
}

/* What it refuses has a name of its own. */
static void test_volume_written(void **state) {
        g_autoptr(GPtrArray) problems = problems_new();
        VMSpec *spec = NULL;

        assert_int_equal(parse_object(object_of("'Volumes': ['/srv/a:/b:rw'], 'Shares': ['/srv/a:/c:rw']"), &limits, problems, &spec), -EINVAL);
        assert_int_equal(problems->len, 2);
        assert_string_equal(((Problem *) problems->pdata[0])->error, "NotSupported");
        assert_string_equal(((Problem *) problems->pdata[1])->error, "NotSupported");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_credentials),
                cmocka_unit_test(test_volumes),
                cmocka_unit_test(test_disks),
                cmocka_unit_test(test_shares),
                cmocka_unit_test(test_root_directory),
                cmocka_unit_test(test_disk_names),
                cmocka_unit_test(test_volume_count),
                cmocka_unit_test(test_volume_written),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
