/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns descriptors that come with a spec. Values of credentials go from the message straight into a memfd: no copy of
 * them is in the daemon's heap. */
#include "model/spec-payload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

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

bool descriptor_can_be_read(int fd) {
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY && !(flags & O_PATH) && fstat(fd, &st) >= 0 &&
               (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

int spec_payload_add_archive(SpecPayload *p, int fd) {
        if (p->n_archives == SPEC_ARCHIVES_MAX)
                return -E2BIG;
        if (!descriptor_can_be_read(fd))
                return -EBADF;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        p->archives[p->n_archives++] = fd;
        return 0;
}

void spec_payload_clear(SpecPayload *p) {
        while (p->n_archives > 0)
                (void) close_fd(p->archives[--p->n_archives]);
        p->credentials = close_fd(p->credentials);
}
