/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests of images and artifacts, for their blobs' sake. */
#include "fetch/manifest.h"

#include <errno.h>
#include <string.h>

#include "fetch/fetch.h"
#include "worker/digest.h"
#include "worker/oci-json-private.h"

#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define BLOB_MAX (1ULL << 40)

void manifest_free(manifest *m) {
        if (!m)
                return;
        g_free(m->media_type);
        g_free(m->artifact_type);
        g_ptr_array_unref(m->blobs);
        g_free(m);
}

char *manifest_media_type(const char *text, size_t len) {
        json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        const char *type = json_string_value(json_object_get(root, "mediaType"));
        char *copy = g_strdup(type ? type : json_object_get(root, "manifests") ? OCI_INDEX : OCI_MANIFEST);

        json_decref(root);
        return copy;
}

static int add_blob(manifest *m, const json_t *object, struct failure *f) {
        const char *digest = json_string_value(json_object_get(object, "digest"));
        json_t *size = json_object_get(object, "size");
        oci_descriptor *d;

        if (!digest || !digest_is_valid(digest))
                return oci_bad(f, "manifest", "digest", "is no sha256 digest");
        if (!json_is_integer(size) || json_integer_value(size) < 0 || (uint64_t) json_integer_value(size) > BLOB_MAX)
                return oci_bad(f, "manifest", "size", "is no size of a blob");
        d = g_new0(oci_descriptor, 1);
        d->digest = g_strdup(digest);
        d->size = (uint64_t) json_integer_value(size);
        g_ptr_array_add(m->blobs, d);
        m->bytes += d->size;
        m->largest = MAX(m->largest, d->size);
        return 0;
}

static int parse(manifest *m, const json_t *root, struct failure *f) {
        json_t *config, *layers, *layer;
        g_autofree char *config_type = NULL;
        size_t i;
        int r;

        r = oci_get(root, "manifest", "config", JSON_OBJECT, true, &config, f);
        if (r >= 0)
                r = oci_get(root, "manifest", "layers", JSON_ARRAY, true, &layers, f);
        if (r >= 0)
                r = oci_get_text(root, "manifest", "artifactType", &m->artifact_type, f);
        if (r >= 0)
                r = oci_get_text(config, "manifest config", "mediaType", &config_type, f);
        if (r < 0)
                return r;
        if (json_array_size(layers) > FETCH_LAYERS_MAX)
                return failf(f, -E2BIG, FAILURE_LIMIT, "the manifest has %zu layers, more than %u",
                        json_array_size(layers), FETCH_LAYERS_MAX);
        if (!m->artifact_type && config_type && media_kind(config_type) != MEDIA_CONFIG)
                m->artifact_type = g_strdup(config_type);
        r = add_blob(m, config, f);
        json_array_foreach(layers, i, layer) {
                if (r >= 0)
                        r = add_blob(m, layer, f);
        }
        return r;
}

int manifest_parse(const char *text, size_t len, manifest **ret, struct failure *f) {
        g_autoptr(manifest) m = g_new0(manifest, 1);
        json_t *root;
        int r;

        m->blobs = g_ptr_array_new_with_free_func((GDestroyNotify) oci_descriptor_free);
        r = oci_load(text, len, "manifest", &root, f);
        if (r < 0)
                return r;
        r = json_is_object(root) ? parse(m, root, f) : oci_bad(f, "manifest", "document", "must be an object");
        json_decref(root);
        if (r < 0)
                return r;
        m->media_type = manifest_media_type(text, len);
        *ret = g_steal_pointer(&m);
        return 0;
}
