/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SHA-256 by libcrypto, and the text form of a digest. */
#include "worker/digest.h"

#include <errno.h>
#include <string.h>

int digest_init(struct digest *d) {
        d->context = EVP_MD_CTX_new();
        if (!d->context || EVP_DigestInit_ex(d->context, EVP_sha256(), NULL) != 1)
                return -ENOMEM;
        return 0;
}

void digest_clear(struct digest *d) {
        EVP_MD_CTX_free(d->context);
        d->context = NULL;
}

int digest_update(struct digest *d, const void *data, size_t len) {
        return EVP_DigestUpdate(d->context, data, len) == 1 ? 0 : -EIO;
}

int digest_text(struct digest *d, char ret[DIGEST_TEXT_SIZE]) {
        static const char hex[] = "0123456789abcdef";
        unsigned char raw[EVP_MAX_MD_SIZE];
        unsigned n = 0;
        char *p = ret + sizeof "sha256:" - 1;

        if (EVP_DigestFinal_ex(d->context, raw, &n) != 1 || n != 32)
                return -EIO;
        memcpy(ret, "sha256:", sizeof "sha256:" - 1);
        for (unsigned i = 0; i < n; i++) {
                *p++ = hex[raw[i] >> 4];
                *p++ = hex[raw[i] & 15];
        }
        *p = 0;
        return 0;
}

int digest_of(const void *data, size_t len, char ret[DIGEST_TEXT_SIZE]) {
        struct digest d;
        int r;

        r = digest_init(&d);
        if (r >= 0)
                r = digest_update(&d, data, len);
        if (r >= 0)
                r = digest_text(&d, ret);
        digest_clear(&d);
        return r;
}

bool digest_is_valid(const char *text) {
        size_t n = sizeof "sha256:" - 1;

        return strncmp(text, "sha256:", n) == 0 && strlen(text) == n + 64 && strspn(text + n, "0123456789abcdef") == 64;
}
