/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/digest.h"
#include "worker/failure.h"

/* The OCI manifest of a profile in a registry, see PROFILE_ARTIFACT_TYPE. Pure: bytes in, structure out and back. */

struct artifact_blob {
        char digest[DIGEST_TEXT_SIZE];
        uint64_t size;
};

struct profile_artifact {
        struct artifact_blob config, layer;
        bool described; /* the configuration is the profile's manifest; else it is empty, and says nothing */
};

/* UnsupportedImage naming the key for what is another artifact, or none; -E2BIG with LimitExceeded. */
int profile_artifact_parse(const char *text, size_t len, struct profile_artifact *ret, struct failure *f);

/* The same bytes for the same profile; title and version are for people. The caller frees (free()). */
char *profile_artifact_print(const struct profile_artifact *a, const char *title, const char *version);
