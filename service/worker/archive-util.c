/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libarchive, narrowed down. */
#include "worker/archive-util.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256U * 1024U)

typedef int (*support_fn)(struct archive *);

/* ARCHIVE_WARN says that libarchive would start a program for it: not here. */
static archive_reader *reader_with(const support_fn *support) {
        g_autoptr(archive_reader) a = archive_read_new();

        for (; a && *support; support++)
                if ((*support)(a) != ARCHIVE_OK)
                        return NULL;
        return g_steal_pointer(&a);
}

archive_reader *archive_util_tar(void) {
        static const support_fn support[] = {archive_read_support_format_tar, archive_read_support_format_empty, NULL};

        return reader_with(support);
}

archive_reader *archive_util_tar_packed(void) {
        static const support_fn support[] = {archive_read_support_format_tar, archive_read_support_format_empty,
                archive_read_support_filter_gzip, archive_read_support_filter_zstd, archive_read_support_filter_xz,
                archive_read_support_filter_bzip2, NULL};

        return reader_with(support);
}

archive_reader *archive_util_layer(void) {
        static const support_fn support[] = {archive_read_support_format_raw, archive_read_support_format_empty,
                archive_read_support_filter_gzip, archive_read_support_filter_zstd, NULL};

        return reader_with(support);
}

archive_reader *archive_util_raw(void) {
        static const support_fn support[] = {archive_read_support_format_raw, archive_read_support_format_empty,
                archive_read_support_filter_gzip, archive_read_support_filter_zstd, archive_read_support_filter_xz,
                archive_read_support_filter_bzip2, NULL};

        return reader_with(support);
}

static la_ssize_t on_read(struct archive *a, void *user, const void **ret) {
        struct archive_input *in = user;
        ssize_t n;

        do
                n = read(in->fd, in->buf, CHUNK);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                in->error = -errno;
                archive_set_error(a, errno, "%s", g_strerror(errno));
        }
        *ret = in->buf;
        return n;
}

/* What cannot be passed over is read. */
static la_int64_t on_skip(struct archive *a, void *user, la_int64_t request) {
        struct archive_input *in = user;
        struct stat st;

        if (fstat(in->fd, &st) < 0 || !S_ISREG(st.st_mode))
                return 0;
        return lseek(in->fd, (off_t) request, SEEK_CUR) < 0 ? 0 : request;
}

int archive_input_open(struct archive_input *in, archive_reader *a) {
        in->buf = g_malloc(CHUNK);
        return archive_read_open2(a, in, NULL, on_read, on_skip, NULL);
}

int archive_read_end(int error, int r, const char *what, struct failure *f) {
        if (error >= 0)
                return r;
        failure_clear(f);
        return fail_errno(f, error, what);
}

int archive_input_end(struct archive_input *in, int r, const char *what, struct failure *f) {
        g_clear_pointer(&in->buf, g_free);
        return archive_read_end(in->error, r, what, f);
}
