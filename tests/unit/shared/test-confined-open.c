/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* No path leads out of its root. */
#include "test-files.h"

#include <errno.h>
#include <sys/stat.h>

#include "shared/confined-open.h"

static int try_open(const char *root_suffix, const char *suffix) {
        char root[128], path[256];
        int fd;

        (void) snprintf(root, sizeof root, "%s%s", test_dir, root_suffix);
        (void) snprintf(path, sizeof path, "%s%s", test_dir, suffix);
        fd = confined_open(root, path, O_RDONLY);
        if (fd < 0)
                return fd;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        (void) close(fd);
        return 0;
}

static void make_tree(void) {
        assert_int_equal(mkdirat(test_dir_fd, "root", 0700), 0);
        assert_int_equal(mkdirat(test_dir_fd, "rooted", 0700), 0);
        (void) close(openat(test_dir_fd, "root/file", O_CREAT | O_WRONLY, 0600));
        (void) close(openat(test_dir_fd, "rooted/secret", O_CREAT | O_WRONLY, 0600));
        assert_int_equal(symlinkat("file", test_dir_fd, "root/inside"), 0);
        assert_int_equal(symlinkat("../rooted/secret", test_dir_fd, "root/outside"), 0);
        assert_int_equal(symlinkat("/etc/passwd", test_dir_fd, "root/absolute"), 0);
        assert_int_equal(symlinkat("..", test_dir_fd, "root/up"), 0);
}

static void test_inside(void **state) {
        make_tree();
        assert_int_equal(try_open("/root", "/root/file"), 0);
        assert_int_equal(try_open("/root///", "/root///file"), 0);
        assert_int_equal(try_open("/root", "/root/inside"), -ELOOP);
        assert_int_equal(try_open("/root", "/root/./file"), 0);
        /* The root itself is no path below it. */
        assert_int_equal(try_open("/root", "/root"), -EXDEV);
        assert_int_equal(try_open("/root", "/root/"), -EXDEV);
        assert_int_equal(try_open("/root", "/root/none"), -ENOENT);
}

static void test_outside(void **state) {
        make_tree();
        assert_int_equal(try_open("/root", "/rooted/secret"), -EXDEV);
        assert_int_equal(try_open("/root", "/root/../rooted/secret"), -EXDEV);
        assert_int_equal(try_open("/root", "/root/outside"), -ELOOP);
        assert_int_equal(try_open("/root", "/root/absolute"), -ELOOP);
        assert_int_equal(try_open("/root", "/root/up/rooted/secret"), -ENOTDIR);
        assert_int_equal(try_open("/root", ""), -EXDEV);
        assert_int_equal(confined_open("relative", "relative/x", O_RDONLY), -EXDEV);
        assert_int_equal(confined_open(test_dir, "", O_RDONLY), -EXDEV);
        assert_int_equal(confined_open("/", "etc", O_RDONLY), -EXDEV);
}

static void test_magic_links(void **state) {
        assert_true(confined_open("/proc/self", "/proc/self/root/etc/passwd", O_RDONLY) < 0);
        assert_true(confined_open("/proc/self/fd", "/proc/self/fd/0", O_RDONLY) < 0);
}

static void test_whole_root(void **state) {
        int fd = confined_open("/", "/etc/passwd", O_RDONLY);

        assert_true(fd >= 0);
        (void) close(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                FILES_TEST(test_inside),
                FILES_TEST(test_outside),
                cmocka_unit_test(test_magic_links),
                cmocka_unit_test(test_whole_root),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
