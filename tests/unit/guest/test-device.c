/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices by their sysfs files, in a directory that looks like one of sysfs. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/device.h"
#include "shared/fd.h"

static char directory[] = "/tmp/test-device-XXXXXX";

static void add_device(const char *name, const char *attribute, const char *value) {
        char path[256];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        (void) snprintf(path, sizeof(path), "%s/%s/%s", directory, name, attribute);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, value, strlen(value)), 0);
        (void) close(fd);
}

static int set_up(void **state) {
        char long_value[400];

        assert_non_null(mkdtemp(directory));
        add_device("vda", "serial", "data");
        add_device("vdb", "serial", "root");
        add_device("vdc", "size", "root");
        add_device("sda", "serial", "other");
        add_device("vport0p1", "name", "org.mcp.guest\n");
        memset(long_value, 'x', sizeof(long_value));
        long_value[sizeof(long_value) - 1] = 0;
        add_device("vde", "serial", long_value);
        add_device("vdf", "serial", "");
        return 0;
}

static int tear_down(void **state) {
        char command[64];

        (void) snprintf(command, sizeof(command), "rm -rf %s", directory);
        return system(command);
}

static void test_find(void **state) {
        char name[DEVICE_NAME_MAX] = "untouched";

        assert_int_equal(device_find(directory, "vd", "serial", "roo", name), -ENOENT);
        assert_int_equal(device_find(directory, "vd", "serial", "root2", name), -ENOENT);
        assert_int_equal(device_find(directory, "vd", "serial", "other", name), -ENOENT);
        assert_int_equal(device_find("/nonexistent", "vd", "serial", "root", name), -ENOENT);
        assert_string_equal(name, "untouched");
        assert_int_equal(device_find(directory, "vd", "serial", "root", name), 0);
        assert_string_equal(name, "vdb");
        assert_int_equal(device_find(directory, "vport", "name", "org.mcp.guest", name), 0);
        assert_string_equal(name, "vport0p1");
        assert_int_equal(device_find(directory, "vd", "serial", "", name), 0);
        assert_string_equal(name, "vdf");
}

static void test_wait(void **state) {
        char name[DEVICE_NAME_MAX];
        uint64_t start = now_monotonic();
        pid_t pid;

        assert_int_equal(device_wait(directory, "vd", "serial", "late", 30000, name), -ENOENT);
        assert_in_range(now_monotonic() - start, 30000, 20000000);

        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) usleep(30000);
                add_device("vdl", "serial", "late");
                _exit(0);
        }
        assert_int_equal(device_wait(directory, "vd", "serial", "late", 20000000, name), 0);
        assert_string_equal(name, "vdl");
}

static void test_open_wait(void **state) {
        char path[256];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/vdb/nothing", directory);
        assert_int_equal(device_open_wait(path, O_RDONLY, 3000), -ENOENT);
        (void) snprintf(path, sizeof(path), "%s/vdb/serial/x", directory);
        assert_int_equal(device_open_wait(path, O_RDONLY, 60000000), -ENOTDIR);
        (void) snprintf(path, sizeof(path), "%s/vdb/serial", directory);
        fd = device_open_wait(path, O_RDONLY, 3000);
        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        (void) close(fd);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_find),
                cmocka_unit_test(test_wait),
                cmocka_unit_test(test_open_wait),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
