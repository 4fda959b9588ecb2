/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order in which modules load. */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "worker/modules-dep.h"

static const char dep[] = "kernel/virtio/virtio_ring.ko.xz:\n"
                          "kernel/virtio/virtio.ko.xz: kernel/virtio/virtio_ring.ko.xz\n"
                          /* As depmod writes it: the last need first. */
                          "kernel/virtio/virtio_pci.ko: kernel/virtio/virtio-legacy.ko kernel/virtio/virtio.ko.xz "
                          "kernel/virtio/virtio_ring.ko.xz\n"
                          "kernel/virtio/virtio-legacy.ko:\n"
                          "kernel/loop/a.ko: kernel/loop/b.ko\n"
                          "kernel/loop/b.ko: kernel/loop/a.ko\n"
                          "kernel/lost.ko: kernel/gone.ko\n";
static const char builtin[] = "kernel/fs/ext4/ext4.ko\nkernel/fs/jbd2-x.ko\n";

static void check(const char *names, int expected, const char *order) {
        g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
        g_auto(GStrv) list = g_strsplit(names, " ", -1);
        g_autoptr(modules_dep) m = NULL;
        g_autoptr(GString) got = g_string_new(NULL);
        int r = 0;

        assert_int_equal(modules_dep_new(dep, builtin, &m), 0);
        for (char **n = list; *n && r >= 0; n++)
                r = modules_dep_resolve(m, *n, paths);
        assert_int_equal(r, expected);
        for (guint i = 0; i < paths->len; i++) {
                g_autofree char *name = modules_dep_name(g_ptr_array_index(paths, i));

                g_string_append_printf(got, "%s%s", i > 0 ? " " : "", name);
        }
        if (order)
                assert_string_equal(got->str, order);
}

static void test_order(void **state) {
        check("virtio_pci", 1, "virtio_legacy virtio_ring virtio virtio_pci");
        check("virtio virtio_pci virtio", 1, "virtio_ring virtio virtio_legacy virtio_pci");
        check("virtio-pci", 1, "virtio_legacy virtio_ring virtio virtio_pci");
}

static void test_builtin(void **state) {
        check("ext4", 0, "");
        check("jbd2_x", 0, "");
        check("jbd2-x", 0, "");
}

static void test_missing(void **state) {
        check("nosuch", -ENOENT, "");
        check("lost", -ENOENT, NULL);
        check("a", -ELOOP, NULL);
}

static void test_bad(void **state) {
        static const char *const bad[] = {"no colon\n", ": x.ko\n", "/abs.ko:\n", "../up.ko:\n", "plain:\n"};
        modules_dep *m = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                assert_int_equal(modules_dep_new(bad[i], "", &m), -EBADMSG);
                assert_null(m);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_builtin),
                cmocka_unit_test(test_missing),
                cmocka_unit_test(test_bad),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
