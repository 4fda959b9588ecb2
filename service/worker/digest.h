/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SHA-256 of a stream, written the way OCI writes it: "sha256:" and 64 lower-case hex digits. */

#define DIGEST_TEXT_SIZE (sizeof "sha256:" + 64)

struct digest {
        EVP_MD_CTX *context;
};

/* 0 or -ENOMEM; digest_clear() may follow either way. */
int digest_init(struct digest *d);
void digest_clear(struct digest *d);
int digest_update(struct digest *d, const void *data, size_t len);
/* Ends the stream. */
int digest_text(struct digest *d, char ret[DIGEST_TEXT_SIZE]);

int digest_of(const void *data, size_t len, char ret[DIGEST_TEXT_SIZE]);

/* Whether text is a digest we can check. */
bool digest_is_valid(const char *text);
