/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "worker/oci-json.h"

/* Typed access to a document's keys, shared by the parsers; each failure names document and key. */

int oci_bad(struct failure *f, const char *document, const char *key, const char *why);
int oci_load(const char *text, size_t len, const char *document, json_t **ret, struct failure *f);
/* *ret is borrowed; NULL for a missing or null key that is not needed. */
int oci_get(const json_t *object,
        const char *document,
        const char *key,
        json_type type,
        bool needed,
        json_t **ret,
        struct failure *f);
int oci_get_text(const json_t *object, const char *document, const char *key, char **ret, struct failure *f);
int oci_get_texts(
        const json_t *object, const char *document, const char *key, bool needed, GPtrArray *ret, struct failure *f);
