/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target over the files of its corpus, and over every beginning of the small ones, without an engine. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/fd.h"

#define FILE_MAX (1U << 20)
#define BEGINNINGS_MAX 4096U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly that size, so that a sanitizer sees the end. */
static void run(const char *data, size_t size) {
        uint8_t *copy = malloc(size > 0 ? size : 1);

        if (!copy)
                abort();
        memcpy(copy, data, size);
        (void) LLVMFuzzerTestOneInput(copy, size);
        free(copy);
}

static int run_file(int dir, const char *name) {
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
        char *data;
        size_t size;

        if (fd < 0 || read_file(fd, FILE_MAX, &data, &size) < 0) {
                fprintf(stderr, "cannot read %s\n", name);
                return -1;
        }
        run(data, size);
        for (size_t n = 0; size <= BEGINNINGS_MAX && n < size; n++)
                run(data, n);
        free(data);
        return 0;
}

int main(int argc, char **argv) {
        DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
        struct dirent *e;
        unsigned n = 0;

        if (!d) {
                fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
                return 2;
        }
        while ((e = readdir(d))) {
                if (e->d_name[0] == '.')
                        continue;
                if (run_file(dirfd(d), e->d_name) < 0)
                        return 1;
                n++;
        }
        (void) closedir(d);
        printf("%u files\n", n);
        return n > 0 ? 0 : 1;
}
