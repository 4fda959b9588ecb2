/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The initrd that carries a boot message: where the second archive begins, and who may put it in. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/boot-archive.h"
#include "monitor/launch.h"
#include "shared/fd.h"
#include "shared/guest-wire.h"

#define MAGIC "070701"

static int memory(const char *data, size_t len) {
        int fd = memfd_sealed("test", data, len);

        assert_true(fd >= 0);
        return fd;
}

/* The initrd's own bytes first; then zeros up to a multiple of four; then an archive with the message in it. */
static void test_append(void **state) {
        for (size_t len = 1; len <= 9; len++) {
                _cleanup_close_ int initrd = memory("abcdefghi", len), boot = memory("version=1", 10);
                _cleanup_close_ int fd = boot_archive_append(initrd, boot);
                size_t at = (len + 3) / 4 * 4, size;
                char *data;

                assert_true(fd >= 0);
                assert_int_equal(read_file(fd, 65536, &data, &size), 0);
                assert_memory_equal(data, "abcdefghi", len);
                for (size_t i = len; i < at; i++)
                        assert_int_equal(data[i], 0);
                assert_memory_equal(data + at, MAGIC, strlen(MAGIC));
                assert_memory_equal(data + at + 110, GUEST_BOOT_FILE, sizeof GUEST_BOOT_FILE);
                assert_non_null(memmem(data + at, size - at, "version=1", 10));
                assert_non_null(memmem(data + at, size - at, "TRAILER!!!", 11));
                free(data);
                assert_int_equal(write(fd, "x", 1), -1);
                assert_int_equal(errno, EPERM);
        }
}

static void test_too_long(void **state) {
        _cleanup_close_ int initrd = memory("a", 1), boot = memfd_create("boot", MFD_CLOEXEC);

        assert_int_equal(ftruncate(boot, GUEST_BOOT_MAX + 1), 0);
        assert_int_equal(boot_archive_append(initrd, boot), -EFBIG);
}

static int parse(json_int_t boot_in, struct launch **ret) {
        json_t *message = json_pack("{s:i, s:[s], s:[s,s,s], s:I}", "boot", 1, "argv", "/bin/true", "fds", "qemu",
                "qemu", "boot", "boot_in", boot_in);
        const int fds[] = {memory("kernel", 6), memory("initrd", 6), memory("version=1", 10)};
        const char *problem;
        int r;

        if (boot_in < 0)
                (void) json_object_del(message, "boot_in");
        r = launch_parse(message, fds, 3, ret, &problem);
        if (r < 0)
                assert_non_null(strstr(problem, "boot_in"));
        json_decref(message);
        return r;
}

static void test_launch(void **state) {
        static const json_int_t wrong[] = {-1, 2, 1000000};
        struct launch *l;
        char *data;
        size_t size;

        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
                assert_int_equal(parse(wrong[i], &l), -EBADMSG);
        assert_int_equal(parse(1, &l), 0);
        assert_int_equal(read_file(l->qemu_fds[1], 65536, &data, &size), 0);
        assert_memory_equal(data, "initrd\0\0" MAGIC, 14);
        free(data);
        assert_int_equal(read_file(l->qemu_fds[0], 65536, &data, &size), 0);
        assert_int_equal(size, 6);
        free(data);
        launch_free(l);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_append),
                cmocka_unit_test(test_too_long),
                cmocka_unit_test(test_launch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
