/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scratch directory, in the unit's private /var/tmp. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch/fetch.h"
#include "shared/fd.h"

char *fetch_directory_new(struct failure *f) {
        char *path = g_strconcat(g_getenv("TMPDIR") ?: "/var/tmp", "/mcp-fetch-XXXXXX", NULL);

        if (!mkdtemp(path)) {
                (void) fail_errno(f, -errno, "making a directory for what is fetched");
                g_free(path);
                return NULL;
        }
        return path;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) remove(path);
        return 0;
}

void fetch_directory_remove(const char *path) {
        (void) nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

uint64_t fetch_directory_bytes(const char *path) {
        DIR *d = opendir(path);
        uint64_t sum = 0;
        struct dirent *e;

        if (!d)
                return 0;
        while ((e = readdir(d))) {
                struct stat st;

                if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
                        sum += (uint64_t) st.st_size;
        }
        (void) closedir(d);
        return sum;
}
