/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libarchive, narrowed down. */
#include "worker/archive-util.h"

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
