/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The JSON documents of an image, whatever they claim to be. */
#include <stdlib.h>

#include "worker/oci-json.h"

#define LAYERS_MAX 16U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A refusal has a reason, a success has none. */
static void check(int r, struct failure *f) {
        if ((r < 0) != (f->name != NULL))
                abort();
        failure_clear(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text = (const char *) data;
        g_autoptr(docker_manifest) docker = NULL;
        g_autoptr(oci_document) document = NULL;
        g_autoptr(oci_config) config = NULL;
        const oci_descriptor *chosen;
        struct failure f = {};

        check(oci_document_parse(text, size, LAYERS_MAX, &document, &f), &f);
        if (document && document->is_index)
                check(oci_document_choose(document, "amd64", &chosen, &f), &f);
        if (document && !document->is_index && document->layers->len > LAYERS_MAX)
                abort();
        check(oci_config_parse(text, size, &config, &f), &f);
        check(docker_manifest_parse(text, size, LAYERS_MAX, &docker, &f), &f);
        check(oci_layout_check(text, size, &f), &f);
        return 0;
}
