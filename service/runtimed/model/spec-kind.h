/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "model/spec-check.h"

/* How the structure of a spec keeps a D-Bus type; for spec.c and its neighbours alone. */

/* parse returns false when the JSON type is wrong; problems of elements it adds itself. It replaces what is there.
 * check is NULL for what was checked before. */
typedef struct SpecKind {
        bool (*parse)(json_t *value, void *field, const SpecCheck *check);
        json_t *(*print)(const void *field);
        void (*clear)(void *field);
} SpecKind;

struct SpecField {
        const SpecKind *kind;
        size_t offset;
        SpecChecker check; /* may be NULL */
};

/* spec-storage.c */
extern const SpecKind spec_credentials_kind;
extern const SpecKind spec_disks_kind;
