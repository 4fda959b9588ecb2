/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
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

/* What an ELF file asks the dynamic linker for. Names are bytes of the file: nothing is known of them but their length.
 */
#define ELF_NEEDED_MAX 256U

struct elf_links {
        char *interpreter; /* NULL: it names none */
        GPtrArray *needed; /* of char*, at most ELF_NEEDED_MAX; "" for one that cannot be read */
        unsigned total;    /* of them in the file */
        char *search;      /* DT_RUNPATH, else DT_RPATH, else "" */
};

static inline bool elf_is_dynamic(const struct elf_links *links) {
        return links->interpreter || links->total > 0;
}

/* The same check, but a dynamic program passes, and with `library` one that has no entry point; ret is cleared with
 * elf_links_clear() and only set on success. */
int elf_read_links(const struct elf_source *source, const char *architecture, bool library, struct elf_links *ret,
        struct failure *f);
void elf_links_clear(struct elf_links *links);

/* OCI's name of an architecture ("x86_64" -> "amd64"), or NULL. */
const char *architecture_oci(const char *architecture);
