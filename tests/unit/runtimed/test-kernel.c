/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which kernel a guest gets, and what is said when there is none. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/kernel.h"

typedef struct Bench {
        char *dir;
        Config config;
} Bench;

static void add_kernel(Bench *b, const char *version) {
        g_autofree char *image = g_strconcat("boot/vmlinuz-", version, NULL);
        g_autofree char *modules = g_strconcat("modules/", version, "/modules.dep", NULL);

        scratch_text(b->dir, image, "kernel");
        scratch_text(b->dir, modules, "");
}

static int setup(void **state) {
        Bench *b = g_new0(Bench, 1);

        b->dir = scratch_new();
        b->config.kernel_directory = g_build_filename(b->dir, "boot", NULL);
        b->config.modules_directory = g_build_filename(b->dir, "modules", NULL);
        b->config.foreign_kernels = g_build_filename(b->dir, "foreign", NULL);
        b->config.guest_init = g_build_filename(b->dir, "init", NULL);
        scratch_text(b->dir, "init", "init");
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;

        scratch_remove(b->dir);
        g_free(b->config.kernel_directory);
        g_free(b->config.modules_directory);
        g_free(b->config.guest_init);
        g_free(b->config.foreign_kernels);
        g_free(b);
        return 0;
}

static void test_newest(void **state) {
        Bench *b = *state;
        g_autoptr(Kernel) k = NULL, empty = NULL;

        add_kernel(b, "6.1.0-9-cloud-amd64");
        add_kernel(b, "6.1.0-31-cloud-amd64"); /* newer, and first in the alphabet */
        add_kernel(b, "5.10.0-40-cloud-amd64");
        assert_int_equal(kernel_find(&b->config, config_host_architecture(), NULL, false, &k, NULL), 0);
        assert_string_equal(k->version, "6.1.0-31-cloud-amd64");
        assert_int_equal(kernel_find(&b->config, config_host_architecture(), "", false, &empty, NULL), 0);
        assert_string_equal(empty->version, k->version);
}

/* The small kernel where it serves, and another one where only that has 9p; each need has an initrd of its own. */
static void test_needs(void **state) {
        Bench *b = *state;
        g_autoptr(Kernel) usual = NULL, disks = NULL, shares = NULL, named = NULL;
        g_autoptr(Problem) none = NULL, cloud = NULL;
        const char *here = config_host_architecture();

        add_kernel(b, "6.1.0-31-cloud-amd64");
        assert_true(kernel_find(&b->config, here, "", KERNEL_9P, &shares, &none) < 0);
        assert_string_equal(none->error, "NotSupported");
        assert_non_null(strstr(none->text, "no guest kernel of this host (6.1.0-31-cloud-amd64) has 9p"));
        assert_non_null(strstr(none->text, "linux-image-amd64"));
        add_kernel(b, "6.1.0-40-amd64"); /* newer, and larger */
        scratch_text(b->dir, "modules/6.1.0-40-amd64/kernel/fs/9p/9p.ko", "module");
        assert_int_equal(kernel_find(&b->config, here, "", 0, &usual, NULL), 0);
        assert_string_equal(usual->version, "6.1.0-31-cloud-amd64");
        assert_int_equal(kernel_find(&b->config, here, "", KERNEL_DISKS, &disks, NULL), 0);
        assert_string_equal(disks->version, usual->version);
        assert_string_not_equal(disks->cache_key, usual->cache_key);
        assert_int_equal(kernel_find(&b->config, here, "", KERNEL_9P, &shares, NULL), 0);
        assert_string_equal(shares->version, "6.1.0-40-amd64");
        assert_true(kernel_find(&b->config, here, "6.1.0-31-cloud-amd64", KERNEL_9P, &named, &cloud) < 0);
        assert_string_equal(cloud->error, "NotSupported");
        assert_non_null(strstr(cloud->text, "kernel 6.1.0-31-cloud-amd64 has no 9p"));
        scratch_text(b->dir, "modules/6.1.0-31-cloud-amd64/modules.builtin", "kernel/fs/9p/9p.ko\n");
        assert_int_equal(kernel_find(&b->config, here, "", KERNEL_9P, &named, NULL), 0); /* built in */
        assert_string_equal(named->version, "6.1.0-31-cloud-amd64");
}

/* A foreign guest's initrd has what its machine has: Debian's armmp has no driver of fw_cfg. */
static void test_fw_cfg(void **state) {
        Bench *b = *state;
        g_autoptr(Kernel) own = NULL, arm = NULL, aarch64 = NULL;
        const char *foreign[] = {"arm", "aarch64"};

        add_kernel(b, "6.1");
        assert_int_equal(kernel_find(&b->config, config_host_architecture(), "", 0, &own, NULL), 0);
        assert_true(own->fw_cfg);
        for (size_t i = 0; i < G_N_ELEMENTS(foreign); i++) {
                g_autofree char *image = g_strdup_printf("foreign/%s/boot/vmlinuz-6.1", foreign[i]),
                                *modules = g_strdup_printf("foreign/%s/%slib/modules/6.1/modules.dep", foreign[i],
                                        i == 0 ? "usr/" : ""), /* as in Debian 13 */
                                *init = g_strdup_printf("init-%s", foreign[i]);

                scratch_text(b->dir, image, "kernel");
                scratch_text(b->dir, modules, "");
                scratch_text(b->dir, init, "init");
        }
        assert_int_equal(kernel_find(&b->config, "arm", "", 0, &arm, NULL), 0);
        assert_false(arm->fw_cfg);
        assert_int_equal(kernel_find(&b->config, "aarch64", "", 0, &aarch64, NULL), 0);
        assert_true(aarch64->fw_cfg);
}

static void test_descriptors(void **state) {
        Bench *b = *state;
        g_autoptr(Kernel) k = NULL;
        struct stat st;

        add_kernel(b, "6.1");
        assert_int_equal(kernel_find(&b->config, config_host_architecture(), "6.1", false, &k, NULL), 0);
        assert_int_equal(fcntl(k->image, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_true(fcntl(k->modules, F_GETFL) & O_PATH);
        assert_int_equal(fstat(k->modules, &st), 0);
        assert_true(S_ISDIR(st.st_mode));
        assert_int_equal(fcntl(k->guest_init, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_true(fcntl(k->image, F_GETFD) & FD_CLOEXEC);
}

static void test_named(void **state) {
        Bench *b = *state;
        g_autoptr(Problem) problem = NULL;
        g_autoptr(Kernel) k = NULL;

        add_kernel(b, "6.1");
        add_kernel(b, "6.12");
        assert_int_equal(kernel_find(&b->config, config_host_architecture(), "6.1", false, &k, NULL), 0);
        assert_string_equal(k->version, "6.1");
        g_clear_pointer(&k, kernel_free);
        assert_int_equal(kernel_find(&b->config, config_host_architecture(), "7.0", false, &k, &problem), -EINVAL);
        assert_null(k);
        assert_string_equal(problem->error, "InvalidSpec");
        assert_string_equal(problem->key, "Kernel");
        assert_non_null(strstr(problem->text, "7.0"));
        assert_non_null(strstr(problem->text, "6.12, 6.1")); /* what there is */
}

/* A version is a name: nothing is opened outside of the two directories. */
static void test_path(void **state) {
        Bench *b = *state;
        g_autoptr(Problem) problem = NULL;
        Kernel *k = NULL;

        add_kernel(b, "6.1");
        scratch_text(b->dir, "vmlinuz-out", "");
        assert_int_equal(kernel_find(&b->config, config_host_architecture(), "../6.1", false, &k, &problem), -EINVAL);
        assert_string_equal(problem->error, "InvalidSpec");
}

static void test_without_modules(void **state) {
        Bench *b = *state;
        g_autoptr(Kernel) k = NULL;
        g_autofree char *dir = g_build_filename(b->dir, "modules", "8.0", NULL);

        add_kernel(b, "6.1");
        scratch_text(b->dir, "boot/vmlinuz-9.0", "kernel"); /* its package was purged by half */
        scratch_text(b->dir, "boot/vmlinuz-8.0", "kernel");
        assert_int_equal(g_mkdir_with_parents(dir, 0700), 0); /* no modules.dep */
        scratch_text(b->dir, "boot/initrd.img-9.9", "");
        assert_int_equal(kernel_find(&b->config, config_host_architecture(), NULL, false, &k, NULL), 0);
        assert_string_equal(k->version, "6.1");
}

static void test_none(void **state) {
        Bench *b = *state;
        g_autoptr(Problem) problem = NULL, again = NULL;
        Kernel *k = NULL;

        assert_true(kernel_find(&b->config, config_host_architecture(), NULL, false, &k, &problem) < 0);
        assert_string_equal(problem->error, "ToolMissing");
        assert_non_null(strstr(problem->text, b->config.kernel_directory));
        assert_non_null(strstr(problem->text, "linux-image"));
        scratch_text(b->dir, "boot/vmlinuz-9.0", "kernel");
        assert_true(kernel_find(&b->config, config_host_architecture(), "9.0", false, &k, &again) < 0);
        assert_string_equal(again->error, "ToolMissing");
        assert_null(k);
}

static void test_without_guest_init(void **state) {
        Bench *b = *state;
        g_autofree char *path = g_build_filename(b->dir, "init", NULL);
        g_autoptr(Problem) problem = NULL;
        Kernel *k = NULL;

        add_kernel(b, "6.1");
        assert_int_equal(remove(path), 0);
        assert_true(kernel_find(&b->config, config_host_architecture(), NULL, false, &k, &problem) < 0);
        assert_string_equal(problem->error, "ToolMissing");
        assert_non_null(strstr(problem->text, path));
        assert_null(k);
}

/* A foreign guest takes nothing of the host's, and the host's guests nothing foreign. */
static void test_foreign(void **state) {
        Bench *b = *state;
        g_autoptr(Problem) none = NULL, no_init = NULL;
        g_autoptr(Kernel) k = NULL, own = NULL, uefi = NULL;

        add_kernel(b, "6.1");
        assert_true(kernel_find(&b->config, "arm", NULL, false, &k, &none) < 0);
        assert_string_equal(none->error, "ToolMissing");
        assert_non_null(strstr(none->text, "linux-image-armmp"));
        assert_non_null(strstr(none->text, "foreign/arm/boot"));

        scratch_text(b->dir, "foreign/arm/boot/vmlinuz-9.9-armmp", "kernel");
        scratch_text(b->dir, "foreign/arm/lib/modules/9.9-armmp/modules.dep", "");
        assert_true(kernel_find(&b->config, "arm", NULL, false, &k, &no_init) < 0);
        assert_string_equal(no_init->error, "ToolMissing");
        assert_non_null(strstr(no_init->text, "gcc-arm-linux-gnueabihf"));

        scratch_text(b->dir, "init-arm", "init");
        assert_int_equal(kernel_find(&b->config, "arm", NULL, false, &k, NULL), 0);
        assert_string_equal(k->version, "9.9-armmp");
        assert_int_equal(kernel_find(&b->config, config_host_architecture(), NULL, false, &own, NULL), 0);
        assert_string_equal(own->version, "6.1");
        assert_int_equal(kernel_find(&b->config, "arm", NULL, true, &uefi, NULL), 0);
        assert_string_not_equal(uefi->cache_key, k->cache_key);
}

static char *key_of(Bench *b) {
        g_autoptr(Kernel) k = NULL;

        assert_int_equal(kernel_find(&b->config, config_host_architecture(), NULL, false, &k, NULL), 0);
        return g_strdup(k->cache_key);
}

static void set_mtime(const Bench *b, const char *name, time_t sec, long nsec) {
        g_autofree char *path = g_build_filename(b->dir, name, NULL);
        const struct timespec times[2] = {{sec, nsec}, {sec, nsec}};

        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* The cached initrd is built anew when modules or guest init change, and only then. */
static void test_cache_key(void **state) {
        Bench *b = *state;
        g_autofree char *first = NULL, *same = NULL, *init = NULL, *modules = NULL, *other = NULL;

        add_kernel(b, "6.1");
        set_mtime(b, "init", 1000, 0);
        set_mtime(b, "modules/6.1/modules.dep", 1000, 0);
        first = key_of(b);
        same = key_of(b);
        assert_string_equal(first, same);
        set_mtime(b, "init", 1000, 1);
        init = key_of(b);
        assert_string_not_equal(first, init);
        set_mtime(b, "init", 1000, 0);
        set_mtime(b, "modules/6.1/modules.dep", 1001, 0);
        modules = key_of(b);
        assert_string_not_equal(first, modules);
        set_mtime(b, "modules/6.1/modules.dep", 1000, 0);
        add_kernel(b, "6.2");
        other = key_of(b);
        assert_string_not_equal(first, other);
        assert_null(strchr(other, '/'));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_newest, setup, teardown),
                cmocka_unit_test_setup_teardown(test_needs, setup, teardown),
                cmocka_unit_test_setup_teardown(test_fw_cfg, setup, teardown),
                cmocka_unit_test_setup_teardown(test_descriptors, setup, teardown),
                cmocka_unit_test_setup_teardown(test_named, setup, teardown),
                cmocka_unit_test_setup_teardown(test_path, setup, teardown),
                cmocka_unit_test_setup_teardown(test_without_modules, setup, teardown),
                cmocka_unit_test_setup_teardown(test_none, setup, teardown),
                cmocka_unit_test_setup_teardown(test_without_guest_init, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cache_key, setup, teardown),
                cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
