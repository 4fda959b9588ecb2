/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests of artifacts that say they are profiles, or disks of Nanos guests. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/artifact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
        if (!holds)
                abort();
}

/* What was taken keeps to the rules, and is the same once it was printed and read again. */
static void check(const struct artifact_kind *kind, const struct artifact *a) {
        struct artifact again = {};
        struct failure f = {};
        char *text = artifact_print(kind, a, "title", "1");

        need(digest_is_valid(a->config.digest) && digest_is_valid(a->layer.digest));
        need(a->config.size <= kind->config_max && text);
        need(artifact_parse(kind, text, strlen(text), &again, &f) >= 0);
        need(again.described == a->described && again.layer.size == a->layer.size);
        need(strcmp(again.config.digest, a->config.digest) == 0 && strcmp(again.layer.digest, a->layer.digest) == 0);
        free(text);
}

static void read_as(const struct artifact_kind *kind, const uint8_t *data, size_t size) {
        struct artifact a;
        struct failure f = {};
        int r = artifact_parse(kind, (const char *) data, size, &a, &f);

        need((r < 0) == (f.name != NULL));
        need(r < 0 || a.described || kind->may_be_empty);
        if (r >= 0)
                check(kind, &a);
        failure_clear(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        read_as(&artifact_profile, data, size);
        read_as(&artifact_nanos, data, size);
        return 0;
}
