/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "model/spec.h"

/* What comes with a spec and is kept in none: the values of its credentials, the tars of its volumes. */
typedef struct SpecPayload {
        int archives[SPEC_ARCHIVES_MAX]; /* to be read, in the order of VMSpec.archives */
        size_t n_archives;
        bool refresh_volumes; /* of a start: what they are baked of is read again */
        int credentials;      /* memfd, guest-wire.h part 2; sealed by spec_payload_seal(); -1: none came */
} SpecPayload;

#define SPEC_PAYLOAD_NONE ((SpecPayload){.credentials = -1})

/* Adds one credential. Negative errno. */
int spec_payload_add_credential(SpecPayload *p, const char *name, const void *value, size_t size);

/* Adds a copy of a descriptor. -EBADF for what is no file, pipe or socket that can be read, -E2BIG. */
int spec_payload_add_archive(SpecPayload *p, int fd);

/* Nothing is added to the credentials any more. */
int spec_payload_seal(SpecPayload *p);

/* A regular file, pipe or socket, not write-only. */
bool descriptor_can_be_read(int fd);

void spec_payload_clear(SpecPayload *p);
