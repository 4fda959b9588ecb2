/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "worker/archive-index.h"
#include "worker/digest.h"
#include "worker/layout-writer.h"

/* The manifest of an image that came without one (a docker archive, a lone program): an OCI manifest, the same for the
 * same content, so the image has a digest under which it can be pushed and pulled. */
typedef struct made_manifest {
        GString *text;
        char digest[DIGEST_TEXT_SIZE];
        char *config; /* the configuration's text */
        size_t config_len;
        char config_digest[DIGEST_TEXT_SIZE];
        GArray *layers; /* struct made_layer, lowest first */
} made_manifest;

struct made_layer {
        char digest[DIGEST_TEXT_SIZE];
        const char *media_type; /* static */
        uint64_t size;
        struct extent extent; /* in the source, where it is there as it is */
};

/* config is taken. */
int made_manifest_new(char *config, size_t len, made_manifest **ret, struct failure *f);
void made_manifest_add(
        made_manifest *m, const char *digest, const char *media_type, uint64_t size, struct extent extent);

/* After the last layer: text and digest. */
int made_manifest_seal(made_manifest *m, struct failure *f);

/* Media type of a layer by its first bytes: plain, gzip or zstd. */
const char *made_layer_type(const char head[static 4]);

/* An OCI archive with manifest and configuration; the layers are the caller's to add. */
int made_manifest_write(const made_manifest *m, int fd, struct layout_writer **ret, struct failure *f);

void made_manifest_free(made_manifest *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(made_manifest, made_manifest_free)
