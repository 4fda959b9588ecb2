/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "worker/failure.h"

/* Whether a file is a static ELF program for the wanted machine. Reads headers only, trusts none of them. */

struct elf_source {
        /* Reads exactly len bytes at offset; only called for ranges below size. Negative errno on failure. */
        int (*read)(void *user, uint64_t offset, void *buf, size_t len);
        void *user;
        uint64_t size;
};

/* architecture as QEMU and uname(2) name it: "x86_64". -ENOEXEC with UnsupportedImage for everything that cannot run
 * alone, -EINVAL with InvalidSpec for an architecture we do not know. */
int elf_check(const struct elf_source *source, const char *architecture, struct failure *f);

/* OCI's name of an architecture ("x86_64" -> "amd64"), or NULL. */
const char *architecture_oci(const char *architecture);
