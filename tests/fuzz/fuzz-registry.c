/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a registry sends and what skopeo says of it: manifests of anything, lines of anything. */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/complaint.h"
#include "fetch/fetch.h"
#include "fetch/manifest.h"
#include "worker/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
        if (!holds)
                abort();
}

static void check_manifest(const char *text, size_t len) {
        g_autofree char *type = manifest_media_type(text, len);
        g_autoptr(manifest) m = NULL;
        struct failure f = {};
        uint64_t bytes = 0;
        int r = manifest_parse(text, len, &m, &f);

        need(type && (r < 0) == (f.name != NULL));
        failure_clear(&f);
        if (!m)
                return;
        need(m->blobs->len >= 1 && m->blobs->len <= FETCH_LAYERS_MAX + 1);
        for (guint i = 0; i < m->blobs->len; i++) {
                const oci_descriptor *d = m->blobs->pdata[i];

                need(digest_is_valid(d->digest) && d->size <= m->largest);
                bytes += d->size;
        }
        need(bytes == m->bytes);
}

static void check_line(const char *line) {
        g_autofree char *text = complaint_text(line);
        struct failure f = {};

        need(strlen(text) <= strlen(line));
        (void) complaint_is_fatal(line);
        need(complaint_fail("registry.example.com", text, &f) < 0 && f.name && f.message);
        for (const char *p = f.message; *p; p++)
                need((unsigned char) *p >= 0x20 && *p != 0x7f);
        need(g_utf8_validate(f.message, -1, NULL));
        failure_clear(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        g_autofree char *text = g_strndup((const char *) data, size);

        check_manifest((const char *) data, size);
        check_line(text);
        return 0;
}
