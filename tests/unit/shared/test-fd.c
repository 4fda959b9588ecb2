/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptor helpers. */
#include "test-files.h"

#include <errno.h>
#include <sys/mman.h>

#include "shared/fd.h"

static void test_close_keeps_errno(void **state) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), copy = fd;

        errno = ENOTTY;
        assert_int_equal(close_fd(fd), -1);
        assert_int_equal(errno, ENOTTY);
        assert_int_equal(fcntl(copy, F_GETFD), -1);
        assert_int_equal(close_fd(-1), -1);
        fd = 7;
        assert_int_equal(take_fd(&fd), 7);
        assert_int_equal(fd, -1);
}

static void test_read_file(void **state) {
        _cleanup_close_ int fd = openat(test_dir_fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        char *text = (char *) 1;
        size_t len = 77;

        assert_int_equal(read_file(fd, 10, &text, &len), 0);
        assert_int_equal(len, 0);
        assert_string_equal(text, "");
        free(text);

        assert_int_equal(write_all(fd, "0123456789", 10), 0);
        assert_int_equal(read_file(fd, 10, &text, &len), 0);
        assert_int_equal(len, 10);
        assert_string_equal(text, "0123456789");
        free(text);

        text = (char *) 1;
        assert_int_equal(read_file(fd, 9, &text, &len), -EFBIG);
        assert_ptr_equal(text, (char *) 1);
}

/* A file that gives no size. */
static void test_read_proc(void **state) {
        _cleanup_close_ int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
        size_t len;
        char *text;

        assert_int_equal(read_file(fd, 65536, &text, &len), 0);
        assert_int_equal(strncmp(text, "Name:", 5), 0);
        assert_int_equal(len, strlen(text));
        free(text);
        assert_int_equal(read_file(fd, 10, &text, &len), -EFBIG);
}

static void test_memfd_is_sealed(void **state) {
        _cleanup_close_ int fd = memfd_sealed("m", "abc", 3), again = -1;
        char path[64], buf[4] = "";

        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(read(fd, buf, 3), 3);
        assert_string_equal(buf, "abc");
        assert_int_equal(write(fd, "x", 1), -1);
        assert_int_equal(ftruncate(fd, 0), -1);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
        /* Also by the back door. */
        (void) snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        again = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(write(again, "x", 1), -1);
}

static void test_write_all(void **state) {
        _cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

        assert_int_equal(write_all(fd, "x", 1), -ENOSPC);
        assert_int_equal(write_all(-1, "x", 1), -EBADF);
        assert_int_equal(write_all(-1, "", 0), 0);
}

static void test_clocks(void **state) {
        uint64_t m = now_monotonic();

        assert_true(now_realtime() > 1600000000ULL * 1000000U);
        assert_true(now_monotonic() >= m);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_close_keeps_errno),
                FILES_TEST(test_read_file),
                cmocka_unit_test(test_read_proc),
                cmocka_unit_test(test_memfd_is_sealed),
                cmocka_unit_test(test_write_all),
                cmocka_unit_test(test_clocks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
