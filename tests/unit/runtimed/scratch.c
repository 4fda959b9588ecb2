/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scratch directories for tests that need files. */
#include "unit.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *scratch_new(void) {
        g_autoptr(GError) error = NULL;
        char *path = g_dir_make_tmp("mcp-test-XXXXXX", &error);

        assert_non_null(path);
        return path;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

void scratch_remove(char *path) {
        assert_int_equal(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
        g_free(path);
}

void scratch_write(const char *dir, const char *name, const void *data, size_t len) {
        g_autofree char *path = g_build_filename(dir, name, NULL), *parent = g_path_get_dirname(path);

        assert_int_equal(g_mkdir_with_parents(parent, 0700), 0);
        assert_true(g_file_set_contents(path, data, (gssize) len, NULL));
}

bool scratch_has(const char *dir, const char *name) {
        g_autofree char *path = g_build_filename(dir, name, NULL);
        struct stat st;

        return lstat(path, &st) == 0;
}
