/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration file: defaults, drop-ins, and what is refused. */
#include "unit.h"

#include "config.h"

static int setup(void **state) {
        *state = scratch_new();
        return 0;
}

static int teardown(void **state) {
        scratch_remove(*state);
        return 0;
}

static Config *load(const char *dir, GError **error) {
        g_autofree char *path = g_build_filename(dir, "runtime.conf", NULL);

        return config_load(path, error);
}

static void assert_refused(const char *dir, const char *text, const char *names) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Config) c = NULL;

        scratch_text(dir, "runtime.conf", text);
        c = load(dir, &error);
        if (c)
                fail_msg("accepted: %s", text);
        assert_non_null(error);
        if (!strstr(error->message, names) || !strstr(error->message, "runtime.conf"))
                fail_msg("%s: the message does not name '%s': %s", text, names, error->message);
}

static void assert_defaults(const Config *c) {
        assert_string_equal(c->state_directory, "/var/lib/mcp-runtime");
        assert_string_equal(c->qemu, "/usr/bin/qemu-system-x86_64");
        assert_string_equal(c->passt, "/usr/bin/passt");
        assert_string_equal(c->kernel_directory, "/boot");
        assert_string_equal(c->volume_roots[0], "/srv");
        assert_null(c->volume_roots[1]);
        assert_string_equal(c->default_network, "user");
        assert_int_equal(c->memory_mib, 256);
        assert_int_equal(c->vcpus, 1);
        assert_int_equal(c->stop_timeout, 15 * G_USEC_PER_SEC);
        assert_int_equal(c->vms_max, 256);
        assert_int_equal(c->jobs_max, 64);
        assert_true(c->fair_shares);
        assert_int_equal(c->reserved_bytes, 1ULL << 30);
}

static void test_missing(void **state) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Config) c = load(*state, &error);

        assert_null(error);
        assert_non_null(c);
        assert_defaults(c);
}

static void test_empty(void **state) {
        g_autoptr(Config) c = NULL;

        scratch_text(*state, "runtime.conf", "# nothing is set\n\n[Runtime]\n");
        c = load(*state, NULL);
        assert_non_null(c);
        assert_defaults(c);
}

/* Every key once, and all of them as the documentation has them. */
static void test_all(void **state) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Config) c = NULL;

        scratch_text(*state, "runtime.conf",
                "[Runtime]\nStateDirectory=/s\nQEMU=/q\nPasst=/p\nKernelDirectory=/k\nModulesDirectory=/m\nGuestInit=/g\n"
                "VolumeRoots=/a:/b\nDefaultNetwork=none\nMemoryMiB=64\nVCPUs=255\nStopTimeoutSec=3600\nImageBytesMax=18446744073709551615\n"
                "ImageEntriesMax=1\nVMsPerUser=4294967295\nJobsPerUser=1\n");
        c = load(*state, &error);
        assert_null(error);
        assert_non_null(c);
        assert_string_equal(c->state_directory, "/s");
        assert_string_equal(c->qemu, "/q");
        assert_string_equal(c->passt, "/p");
        assert_string_equal(c->kernel_directory, "/k");
        assert_string_equal(c->modules_directory, "/m");
        assert_string_equal(c->guest_init, "/g");
        assert_string_equal(c->volume_roots[0], "/a");
        assert_string_equal(c->volume_roots[1], "/b");
        assert_null(c->volume_roots[2]);
        assert_string_equal(c->default_network, "none");
        assert_int_equal(c->memory_mib, 64);
        assert_int_equal(c->vcpus, 255);
        assert_int_equal(c->stop_timeout, 3600ULL * G_USEC_PER_SEC);
        assert_true(c->image_bytes_max == UINT64_MAX);
        assert_int_equal(c->image_entries_max, 1);
        assert_true(c->vms_max == UINT32_MAX);
        assert_int_equal(c->jobs_max, 1);
}

/* What a worker and an image may take, and who waits: each at its least and at its most, and one beside them. */
static void test_image_limits(void **state) {
        static const struct {
                const char *key;
                uint64_t least, most, usual;
                size_t offset;
        } limits[] = {
                {"ImageLayersMax", 1, 1024, 256, offsetof(Config, image_layers_max)},
                {"ImageDepthMax", 1, 1024, 128, offsetof(Config, image_depth_max)},
                {"ImageManifestBytesMax", 1, 16777216, 4194304, offsetof(Config, image_manifest_bytes_max)},
                {"ImageNameBytesMax", 1, 255, 255, offsetof(Config, image_name_bytes_max)},
                {"WorkerMemoryMiB", 64, 4096, 1024, offsetof(Config, worker_memory_mib)},
                {"WorkerCPUSec", 1, 86400, 3600, offsetof(Config, worker_cpu_sec)},
                {"BuildsPerUser", 1, 64, 2, offsetof(Config, builds_per_user)},
                {"BuildsMax", 1, 256, 8, offsetof(Config, builds_max)},
                {"QueuedBuildsPerUser", 0, 1024, 16, offsetof(Config, queued_builds_max)},
                {"LogFollowersPerUser", 1, 1024, 32, offsetof(Config, log_followers_max)},
                {"SpecBytesMax", 0, UINT32_MAX, 131072, offsetof(Config, spec_bytes_max)},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
                const uint64_t ends[] = {limits[i].least, limits[i].most};
                g_autofree char *above = g_strdup_printf("[Runtime]\n%s=%" G_GUINT64_FORMAT "\n", limits[i].key, limits[i].most + 1);
                g_autofree char *below = g_strdup_printf("[Runtime]\n%s=%" G_GINT64_FORMAT "\n", limits[i].key, (gint64) limits[i].least - 1);

                assert_refused(*state, above, limits[i].key);
                assert_refused(*state, below, limits[i].key);
                for (size_t k = 0; k <= G_N_ELEMENTS(ends); k++) {
                        uint64_t wanted = k < G_N_ELEMENTS(ends) ? ends[k] : limits[i].usual;
                        g_autofree char *text = g_strdup_printf("[Runtime]\n%s=%" G_GUINT64_FORMAT "\n", limits[i].key, wanted);
                        g_autoptr(Config) c = NULL;

                        scratch_text(*state, "runtime.conf", k < G_N_ELEMENTS(ends) ? text : "");
                        c = load(*state, NULL);
                        assert_non_null(c);
                        assert_int_equal(*(uint32_t *) (void *) ((char *) c + limits[i].offset), wanted);
                }
        }
}

/* By name, not by the directory's order; only *.conf; the last one wins, key by key. */
static void test_drop_ins(void **state) {
        g_autoptr(Config) c = NULL;

        scratch_text(*state, "runtime.conf", "[Runtime]\nVCPUs=1\nMemoryMiB=100\nJobsPerUser=7\n");
        scratch_text(*state, "runtime.conf.d/90-last.conf", "[Runtime]\nVCPUs=4\n");
        scratch_text(*state, "runtime.conf.d/10-first.conf", "[Runtime]\nVCPUs=2\nMemoryMiB=200\n");
        scratch_text(*state, "runtime.conf.d/50-middle.conf", "[Runtime]\nVCPUs=3\n");
        scratch_text(*state, "runtime.conf.d/99-off.conf.bak", "[Runtime]\nVCPUs=5\nNonsense=1\n");
        c = load(*state, NULL);
        assert_non_null(c);
        assert_int_equal(c->vcpus, 4);
        assert_int_equal(c->memory_mib, 200);
        assert_int_equal(c->jobs_max, 7);
}

/* No root at all: host paths are closed. */
static void test_no_roots(void **state) {
        g_autoptr(Config) c = NULL;

        scratch_text(*state, "runtime.conf", "[Runtime]\nVolumeRoots=\n");
        c = load(*state, NULL);
        assert_non_null(c);
        assert_null(c->volume_roots[0]);
}

static void test_drop_in_alone(void **state) {
        g_autoptr(Config) c = NULL;

        scratch_text(*state, "runtime.conf.d/a.conf", "[Runtime]\nVCPUs=2\n");
        c = load(*state, NULL);
        assert_non_null(c);
        assert_int_equal(c->vcpus, 2);
}

static void test_bad_drop_in(void **state) {
        g_autoptr(GError) error = NULL;

        scratch_text(*state, "runtime.conf.d/a.conf", "[Runtime]\nVCPUs=two\n");
        assert_null(load(*state, &error));
        assert_non_null(strstr(error->message, "a.conf"));
}

static void test_refused(void **state) {
        static const char *const lines[][2] = {
                {"Nonsense=1", "Nonsense"},
                {"vcpus=1", "vcpus"},
                {"VCPUs=0", "VCPUs"},
                {"VCPUs=256", "VCPUs"},
                {"VCPUs=", "VCPUs"},
                {"VCPUs=1x", "VCPUs"},
                {"VCPUs=-1", "VCPUs"},
                {"VCPUs=0x1", "VCPUs"},
                {"MemoryMiB=0", "MemoryMiB"},
                {"MemoryMiB=4294967296", "MemoryMiB"},
                {"MemoryMiB=1.5", "MemoryMiB"},
                {"StopTimeoutSec=0", "StopTimeoutSec"},
                {"StopTimeoutSec=3601", "StopTimeoutSec"},
                {"ImageBytesMax=0", "ImageBytesMax"},
                {"ImageBytesMax=18446744073709551616", "ImageBytesMax"},
                {"VMsPerUser=0", "VMsPerUser"},
                {"JobsPerUser=0", "JobsPerUser"},
                {"StateDirectory=var/lib", "StateDirectory"},
                {"QEMU=qemu-system-x86_64", "QEMU"},
                {"VolumeRoots=/srv:relative", "VolumeRoots"},
                {"VolumeRoots=/srv:", "VolumeRoots"},
                {"DefaultNetwork=Moon", "DefaultNetwork"},
                {"DefaultNetwork=", "DefaultNetwork"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
                g_autofree char *text = g_strdup_printf("[Runtime]\n%s\n", lines[i][0]);

                assert_refused(*state, text, lines[i][1]);
        }
}

/* What is under a misspelt heading would be ignored in silence. */
static void test_foreign_group(void **state) {
        assert_refused(*state, "[Runtme]\nVCPUs=2\n", "Runtme");
}

static void test_garbage(void **state) {
        g_autoptr(GError) error = NULL;

        scratch_text(*state, "runtime.conf", "VCPUs=2\n");
        assert_null(load(*state, &error));
        assert_non_null(error);
        g_clear_error(&error);
        scratch_text(*state, "runtime.conf", "[Runtime\nVCPUs=2\n");
        assert_null(load(*state, &error));
        assert_non_null(error);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
                cmocka_unit_test_setup_teardown(test_all, setup, teardown),
                cmocka_unit_test_setup_teardown(test_image_limits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_drop_ins, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_roots, setup, teardown),
                cmocka_unit_test_setup_teardown(test_drop_in_alone, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad_drop_in, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_foreign_group, setup, teardown),
                cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
