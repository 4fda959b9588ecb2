/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cpio writer, read back by libarchive; and a full disk. */
#include "unit.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cpio.h"
#include "shared/fd.h"

static char *list(int fd) {
        GString *out = g_string_new(NULL);
        struct archive *a = archive_read_new();
        struct archive_entry *e;

        archive_read_support_format_cpio(a);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(archive_read_open_fd(a, fd, 512), ARCHIVE_OK);
        while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
                char data[100] = "";

                (void) archive_read_data(a, data, sizeof data - 1);
                g_string_append_printf(out, "%s %o %u:%u %d %s|", archive_entry_pathname(e), archive_entry_mode(e),
                        (unsigned) archive_entry_rdevmajor(e), (unsigned) archive_entry_rdevminor(e),
                        (int) archive_entry_mtime(e), data);
        }
        archive_read_free(a);
        return g_string_free(out, FALSE);
}

static void test_round_trip(void **state) {
        _cleanup_close_ int fd = memfd_create("cpio", MFD_CLOEXEC);
        g_autofree char *text = NULL;
        struct stat st;
        struct cpio c;

        cpio_init(&c, fd);
        assert_int_equal(cpio_directory(&c, "dev", 0755), 0);
        assert_int_equal(cpio_character_device(&c, "dev/console", 0600, 5, 1), 0);
        assert_int_equal(cpio_file(&c, "init", 0755, "hello", 5), 0);
        assert_int_equal(cpio_file(&c, "four", 0644, "1234", 4), 0);
        assert_int_equal(cpio_file(&c, "empty", 0644, "", 0), 0);
        assert_int_equal(cpio_finish(&c), 0);
        text = list(fd);
        assert_string_equal(text, "dev 40755 0:0 0 |dev/console 20600 5:1 0 |init 100755 0:0 0 hello|four 100644 0:0 0 "
                                  "1234|empty 100644 0:0 "
                                  "0 |");
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, c.size);
        assert_int_equal(c.size % 512, 0);
}

static void test_full(void **state) {
        _cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        struct cpio c;

        cpio_init(&c, fd);
        assert_int_equal(cpio_directory(&c, "dev", 0755), -ENOSPC);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_full),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
