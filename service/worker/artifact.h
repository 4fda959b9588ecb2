/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/digest.h"
#include "worker/failure.h"

/* The OCI manifest of what is no image in a registry: one configuration, one layer, types of our own. Pure: bytes in,
 * structure out and back. */

struct artifact_kind {
        const char *what;                            /* "profile", for messages */
        const char *type, *config_type, *layer_type; /* layer_type: as it is made here */
        const char *layers[4];                       /* types that are read; NULL-terminated */
        const char *readable;                        /* the same, for messages */
        uint64_t config_max, layer_max;              /* bytes */
        bool may_be_empty;                           /* the configuration, where another tool made it */
};

extern const struct artifact_kind artifact_profile, artifact_nanos;

struct artifact_blob {
        char digest[DIGEST_TEXT_SIZE];
        uint64_t size;
};

struct artifact {
        struct artifact_blob config, layer;
        bool described; /* the configuration has our type; else it is empty, and says nothing */
};

/* UnsupportedImage naming the key for what is another artifact, or none; -E2BIG with LimitExceeded. */
int artifact_parse(
        const struct artifact_kind *kind, const char *text, size_t len, struct artifact *ret, struct failure *f);

/* The same bytes for the same content; title and version are for people. The caller frees (free()). */
char *artifact_print(
        const struct artifact_kind *kind, const struct artifact *a, const char *title, const char *version);
