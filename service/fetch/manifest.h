/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/oci-json.h"

/* A manifest as far as it must be known to carry it: what it is, and which blobs belong to it. Media types are not
 * judged here: an artifact has its own, and an image's are the import's to judge. */
typedef struct manifest {
        char *media_type;
        char *artifact_type; /* NULL: an image */
        GPtrArray *blobs;    /* oci_descriptor, the configuration first */
        uint64_t bytes, largest;
} manifest;

int manifest_parse(const char *text, size_t len, manifest **ret, struct failure *f);
void manifest_free(manifest *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(manifest, manifest_free)

/* The media type that a manifest or index says of itself, or OCI's own. */
char *manifest_media_type(const char *text, size_t len);
