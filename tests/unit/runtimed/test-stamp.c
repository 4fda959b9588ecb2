/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stamps: each change of a file that can be seen makes another one. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"
#include "store/stamp.h"

static int open_in(const char *dir, const char *name) {
        g_autofree char *path = g_build_filename(dir, name, NULL);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        return fd;
}

static void test_changes(void **state) {
        char *dir = scratch_new();
        _cleanup_close_ int fd = open_in(dir, "a"), other = open_in(dir, "b");
        const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {1, 1}};
        Stamp stamp;

        assert_int_equal(stamp_of(fd, &stamp), 0);
        assert_true(stamp_is_of(&stamp, fd));
        assert_false(stamp_is_of(&stamp, other));

        assert_int_equal(ftruncate(fd, 1), 0);
        assert_false(stamp_is_of(&stamp, fd));
        assert_int_equal(stamp_of(fd, &stamp), 0);
        assert_int_equal(futimens(fd, times), 0);
        assert_false(stamp_is_of(&stamp, fd));

        /* Who sets the time back cannot set back the time of that. */
        assert_int_equal(stamp_of(fd, &stamp), 0);
        (void) usleep(20000);
        assert_int_equal(pwrite(fd, "x", 1, 0), 1);
        assert_int_equal(futimens(fd, times), 0);
        assert_false(stamp_is_of(&stamp, fd));
        scratch_remove(dir);
}

static void test_no_file(void **state) {
        _cleanup_close_ int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        Stamp none = stamp_from_json(NULL);

        assert_false(stamp_is_of(&none, dir));
        assert_true(stamp_of(dir, &none) < 0);
        assert_true(stamp_of(-1, &none) < 0);
}

static void test_json(void **state) {
        char *dir = scratch_new();
        _cleanup_close_ int fd = open_in(dir, "a");
        json_t *object, *half;
        Stamp stamp, back;

        assert_int_equal(stamp_of(fd, &stamp), 0);
        object = stamp_to_json(&stamp);
        back = stamp_from_json(object);
        assert_true(stamp_is_of(&back, fd));
        half = json_copy(object);
        (void) json_object_del(half, "ctime");
        back = stamp_from_json(half);
        assert_false(stamp_is_of(&back, fd));
        (void) json_object_set_new(half, "ctime", json_string("now"));
        back = stamp_from_json(half);
        assert_false(stamp_is_of(&back, fd));
        json_decref(half);
        json_decref(object);
        scratch_remove(dir);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_changes),
                cmocka_unit_test(test_no_file),
                cmocka_unit_test(test_json),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
