/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "model/spec.h"

/* What comes with a spec and is kept in none: the values of its credentials. */
typedef struct SpecPayload {
        int credentials; /* memfd, guest-wire.h part 2; sealed by spec_payload_seal(); -1: none came */
} SpecPayload;

#define SPEC_PAYLOAD_NONE ((SpecPayload){.credentials = -1})

/* Adds one credential. Negative errno. */
int spec_payload_add_credential(SpecPayload *p, const char *name, const void *value, size_t size);

/* Nothing is added any more. */
int spec_payload_seal(SpecPayload *p);

void spec_payload_clear(SpecPayload *p);
