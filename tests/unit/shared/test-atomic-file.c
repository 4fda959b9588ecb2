/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file is whole, old or new, and a failure leaves nothing beside it. */
#include "test-files.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "shared/atomic-file.h"
#include "shared/fd.h"

static void assert_content(const char *expected) {
        _cleanup_close_ int fd = openat(test_dir_fd, "f", O_RDONLY | O_CLOEXEC);
        char *text;

        assert_int_equal(read_file(fd, 65536, &text, NULL), 0);
        assert_string_equal(text, expected);
        free(text);
}

static size_t entries(void) {
        DIR *dir = fdopendir(dup(test_dir_fd));
        size_t n = 0;

        rewinddir(dir);
        for (struct dirent *e; (e = readdir(dir));)
                n += e->d_name[0] != '.' || strncmp(e->d_name, ATOMIC_TMP_PREFIX, strlen(ATOMIC_TMP_PREFIX)) == 0;
        (void) closedir(dir);
        return n;
}

static void test_create_and_replace(void **state) {
        struct stat st;
        mode_t old = umask(0077);

        assert_int_equal(atomic_write(test_dir_fd, "f", "one", 3, 0644), 0);
        (void) umask(old);
        assert_content("one");
        assert_int_equal(fstatat(test_dir_fd, "f", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(atomic_write(test_dir_fd, "f", "", 0, 0600), 0);
        assert_content("");
        assert_int_equal(entries(), 1);
}

static void test_full_disk_keeps_the_old(void **state) {
        struct rlimit small = {.rlim_cur = 2, .rlim_max = RLIM_INFINITY}, all = {RLIM_INFINITY, RLIM_INFINITY};

        assert_int_equal(atomic_write(test_dir_fd, "f", "old", 3, 0600), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        assert_int_equal(atomic_write(test_dir_fd, "f", "newer", 5, 0600), -EFBIG);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
        assert_content("old");
        assert_int_equal(entries(), 1);
}

static void test_target_is_a_directory(void **state) {
        assert_int_equal(mkdirat(test_dir_fd, "f", 0700), 0);
        assert_true(atomic_write(test_dir_fd, "f", "x", 1, 0600) < 0);
        assert_int_equal(entries(), 1);
}

static void test_no_directory(void **state) {
        assert_int_equal(atomic_write(-1, "f", "x", 1, 0600), -EBADF);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                FILES_TEST(test_create_and_replace),
                FILES_TEST(test_full_disk_keeps_the_old),
                FILES_TEST(test_target_is_a_directory),
                cmocka_unit_test(test_no_directory),
        };

        (void) signal(SIGXFSZ, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
