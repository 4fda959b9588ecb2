/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests of artifacts that say they are profiles. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/profile-path.h"
#include "worker/profile-artifact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
        if (!holds)
                abort();
}

/* What was taken keeps to the rules, and is the same once it was printed and read again. */
static void check(const struct profile_artifact *a) {
        struct profile_artifact again = {};
        struct failure f = {};
        char *text = profile_artifact_print(a, "title", "1");

        need(digest_is_valid(a->config.digest) && digest_is_valid(a->layer.digest));
        need(a->config.size <= PROFILE_MANIFEST_MAX && text);
        need(profile_artifact_parse(text, strlen(text), &again, &f) >= 0);
        need(again.described == a->described && again.layer.size == a->layer.size);
        need(strcmp(again.config.digest, a->config.digest) == 0 && strcmp(again.layer.digest, a->layer.digest) == 0);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct profile_artifact a;
        struct failure f = {};
        int r = profile_artifact_parse((const char *) data, size, &a, &f);

        need((r < 0) == (f.name != NULL));
        if (r >= 0)
                check(&a);
        failure_clear(&f);
        return 0;
}
