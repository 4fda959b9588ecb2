/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole imports: archive, documents, layers and their merge, as the worker does them. What is no image has a reason, what
 * is one is whole blocks that begin as a SquashFS, and no descriptor stays open. The corpus is gzip-compressed archives. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"
#include "worker/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int lowest_free(void) {
        int fd = dup(STDERR_FILENO);

        return close(fd) < 0 ? -1 : fd;
}

static void check_image(int fd) {
        char magic[4];
        struct stat st;

        if (fstat(fd, &st) < 0 || st.st_size == 0 || st.st_size % 4096 != 0 || pread(fd, magic, sizeof magic, 0) != sizeof magic ||
                memcmp(magic, "hsqs", sizeof magic) != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct job job = {.sock = -1, .n_fds = 2};
        struct failure f = {};
        json_t *done = NULL;
        int before = lowest_free(), r;

        job.fds[0] = memfd_create("source", MFD_CLOEXEC);
        job.fds[1] = memfd_create("output", MFD_CLOEXEC);
        if (job.fds[1] < 0 || write_all(job.fds[0], data, size) < 0)
                abort();
        job.launch = json_pack("{s:s, s:s, s:{s:i, s:i, s:i, s:i}, s:[s, s]}", "op", "import", "architecture", "x86_64", "limits",
                "bytes", 1 << 20, "entries", 200, "layers", 8, "depth", 16, "fds", "source", "output");
        r = import_run(&job, &done, &f);
        if ((r < 0) != (f.name != NULL) || (r < 0) != (done == NULL))
                abort();
        if (r >= 0)
                check_image(job.fds[1]);
        json_decref(done);
        failure_clear(&f);
        job_clear(&job);
        if (lowest_free() != before)
                abort();
        return 0;
}
