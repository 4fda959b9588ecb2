/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* A directory of its own for each test; what a test leaves in it goes with it, one level deep. */
static char test_dir[64];
static int test_dir_fd = -1;

static inline int files_setup(void **state) {
        strcpy(test_dir, "/tmp/mcp-unit-XXXXXX");
        assert_non_null(mkdtemp(test_dir));
        test_dir_fd = open(test_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return 0;
}

static inline void remove_entries(int fd) {
        DIR *dir = fdopendir(dup(fd));

        rewinddir(dir);
        for (struct dirent *e; (e = readdir(dir));)
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlinkat(fd, e->d_name, 0) < 0) {
                        int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

                        if (sub >= 0)
                                remove_entries(sub);
                        (void) close(sub);
                        (void) unlinkat(fd, e->d_name, AT_REMOVEDIR);
                }
        (void) closedir(dir);
}

static inline int files_teardown(void **state) {
        remove_entries(test_dir_fd);
        (void) close(test_dir_fd);
        return rmdir(test_dir);
}

#define FILES_TEST(name) cmocka_unit_test_setup_teardown(name, files_setup, files_teardown)
