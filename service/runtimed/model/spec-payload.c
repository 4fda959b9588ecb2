/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns descriptors that come with a spec. Values of credentials go from the message straight into a memfd: no copy of
 * them is in the daemon's heap. */
#include "model/spec-payload.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "shared/fd.h"

int spec_payload_add_credential(SpecPayload *p, const char *name, const void *value, size_t size) {
        uint32_t length = GUINT32_TO_LE((uint32_t) size);
        int r;

        if (size > SPEC_CREDENTIAL_BYTES_MAX)
                return -E2BIG;
        if (p->credentials < 0)
                p->credentials = memfd_create("credentials", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (p->credentials < 0)
                return -errno;
        r = write_all(p->credentials, name, strlen(name) + 1);
        if (r >= 0)
                r = write_all(p->credentials, &length, sizeof length);
        return r < 0 ? r : write_all(p->credentials, value, size);
}

int spec_payload_seal(SpecPayload *p) {
        return p->credentials < 0 ? 0 : memfd_seal(p->credentials);
}

void spec_payload_clear(SpecPayload *p) {
        p->credentials = close_fd(p->credentials);
}
