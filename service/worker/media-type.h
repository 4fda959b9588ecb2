/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Media types of OCI and docker, as far as we read them. */

enum media_kind {
        MEDIA_UNKNOWN,
        MEDIA_INDEX,    /* OCI index, docker manifest list */
        MEDIA_MANIFEST, /* OCI manifest, docker manifest v2 schema 2 */
        MEDIA_CONFIG,
        MEDIA_LAYER,   /* tar, plain or compressed with gzip or zstd */
        MEDIA_FOREIGN, /* a layer that must be fetched from elsewhere */
};

enum media_kind media_kind(const char *type);

/* What an error message tells to be accepted. */
const char *media_kind_accepted(enum media_kind kind);
