/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OCI manifests of our own making. */
#include "worker/made-manifest.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar"

int made_manifest_new(char *config, size_t len, made_manifest **ret, struct failure *f) {
        g_autoptr(made_manifest) m = g_new0(made_manifest, 1);
        int r;

        *m = (made_manifest){.text = g_string_new(NULL), .config = config, .config_len = len};
        m->layers = g_array_new(FALSE, FALSE, sizeof(struct made_layer));
        r = digest_of(config, len, m->config_digest);
        if (r < 0)
                return fail_errno(f, r, "hashing the configuration");
        *ret = g_steal_pointer(&m);
        return 0;
}

void made_manifest_add(
        made_manifest *m, const char *digest, const char *media_type, uint64_t size, struct extent extent) {
        struct made_layer layer = {.media_type = media_type, .size = size, .extent = extent};

        (void) g_strlcpy(layer.digest, digest, sizeof layer.digest);
        g_array_append_val(m->layers, layer);
}

const char *made_layer_type(const char head[static 4]) {
        if (memcmp(head, "\x1f\x8b", 2) == 0)
                return LAYER_TYPE "+gzip";
        return memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0 ? LAYER_TYPE "+zstd" : LAYER_TYPE;
}

static json_t *descriptor(const char *media_type, const char *digest, uint64_t size) {
        return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest, "size", (json_int_t) size);
}

int made_manifest_seal(made_manifest *m, struct failure *f) {
        json_t *layers = json_array(), *manifest;
        char *text;

        for (guint i = 0; i < m->layers->len; i++) {
                const struct made_layer *l = &g_array_index(m->layers, struct made_layer, i);

                (void) json_array_append_new(layers, descriptor(l->media_type, l->digest, l->size));
        }
        manifest = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType", MANIFEST_TYPE, "config",
                descriptor(CONFIG_TYPE, m->config_digest, m->config_len), "layers", layers);
        text = manifest ? json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        json_decref(manifest);
        if (!text)
                return fail_errno(f, -ENOMEM, "making the manifest");
        g_string_assign(m->text, text);
        free(text);
        return digest_of(m->text->str, m->text->len, m->digest) < 0 ? fail_errno(f, -EIO, "hashing the manifest") : 0;
}

int made_manifest_write(const made_manifest *m, int fd, struct layout_writer **ret, struct failure *f) {
        struct layout_writer *w;
        int r;

        r = layout_writer_new(fd, MANIFEST_TYPE, m->digest, m->text->len, &w, f);
        if (r < 0)
                return r;
        r = layout_writer_add(w, m->digest, m->text->str, m->text->len, f);
        if (r >= 0)
                r = layout_writer_add(w, m->config_digest, m->config, m->config_len, f);
        if (r < 0) {
                layout_writer_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

void made_manifest_free(made_manifest *m) {
        if (!m)
                return;
        (void) g_string_free(m->text, TRUE);
        g_array_unref(m->layers);
        g_free(m->config);
        g_free(m);
}
