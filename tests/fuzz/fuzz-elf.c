/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF headers; a static program that passes must have a sane reason to. */
#include <stdlib.h>
#include <string.h>

#include "worker/elf-check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
        const uint8_t *data;
        size_t size;
};

/* The check must ask for nothing outside. */
static int read_bytes(void *user, uint64_t offset, void *buf, size_t len) {
        const struct bytes *b = user;

        if (offset > b->size || len > b->size - offset)
                abort();
        memcpy(buf, b->data + offset, len);
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const architectures[] = {"x86_64", "aarch64", "i386", "s390x"};
        struct bytes b = {data, size};
        struct elf_source source = {.read = read_bytes, .user = &b, .size = size};

        for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++) {
                struct failure f = {};
                int r = elf_check(&source, architectures[i], &f);

                if ((r < 0) != (f.name != NULL))
                        abort();
                failure_clear(&f);
        }
        return 0;
}
