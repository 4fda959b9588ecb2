/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the file "file" from its start to its end. */
#include "worker/hash.h"

#include <errno.h>
#include <glib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/digest.h"

#define CHUNK (1U << 20)

static int hash_all(struct job *job, int fd, uint64_t expected, struct digest *digest, uint64_t *ret_size) {
        g_autofree char *buf = g_malloc(CHUNK);
        uint64_t at = 0;

        for (;;) {
                ssize_t n = pread(fd, buf, CHUNK, (off_t) at);
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                r = digest_update(digest, buf, (size_t) n);
                if (r < 0)
                        return r;
                at += (uint64_t) n;
                job_progress(job, expected > 0 ? (double) at / (double) expected : 0, "hash");
        }
        *ret_size = at;
        return 0;
}

int hash_run(struct job *job, json_t **ret_done, struct failure *f) {
        struct digest digest = {};
        char text[DIGEST_TEXT_SIZE];
        uint64_t size = 0;
        struct stat st;
        int fd, r;

        fd = job_need_fd(job, "file", f);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return fail_errno(f, -errno, "looking at the file");
        if (!S_ISREG(st.st_mode))
                return failf(f, -EINVAL, FAILURE_SPEC, "only a regular file can be hashed");
        r = digest_init(&digest);
        if (r >= 0)
                r = hash_all(job, fd, (uint64_t) st.st_size, &digest, &size);
        if (r >= 0)
                r = digest_text(&digest, text);
        digest_clear(&digest);
        if (r < 0)
                return fail_errno(f, r, "hashing the file");
        *ret_done = json_pack("{s:s, s:I}", "digest", text, "size", (json_int_t) size);
        return *ret_done ? 0 : -ENOMEM;
}
