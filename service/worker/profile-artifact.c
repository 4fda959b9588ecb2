/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests of profiles in registries: one configuration, one layer, media types that are ours. */
#include "worker/profile-artifact.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "shared/profile-path.h"
#include "worker/oci-json-private.h"

#define DOCUMENT "manifest of a profile"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define LAYER_SLACK (64ULL << 20) /* of a tar beside the bytes of its files */

static int read_blob(
        const json_t *object, char **ret_type, uint64_t max, struct artifact_blob *ret, struct failure *f) {
        json_t *digest, *size;
        int r;

        if (!json_is_object(object))
                return oci_bad(f, DOCUMENT, "descriptor", "must be an object");
        r = oci_get_text(object, DOCUMENT, "mediaType", ret_type, f);
        if (r >= 0)
                r = oci_get(object, DOCUMENT, "digest", JSON_STRING, true, &digest, f);
        if (r >= 0)
                r = oci_get(object, DOCUMENT, "size", JSON_INTEGER, true, &size, f);
        if (r < 0)
                return r;
        if (!digest_is_valid(json_string_value(digest)))
                return oci_bad(f, DOCUMENT, "digest", "is no sha256 digest");
        if (json_integer_value(size) < 0)
                return oci_bad(f, DOCUMENT, "size", "is negative");
        ret->size = (uint64_t) json_integer_value(size);
        (void) g_strlcpy(ret->digest, json_string_value(digest), sizeof ret->digest);
        if (ret->size > max)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        DOCUMENT ": blob %s has %" PRIu64 " bytes, the limit is %" PRIu64, ret->digest, ret->size, max);
        return 0;
}

static int bad_type(struct failure *f, const char *key, const char *type, const char *accepted) {
        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, DOCUMENT ": %s is \"%.100s\"; accepted: %s", key, type ?: "",
                accepted);
}

static int read_config(const json_t *root, struct profile_artifact *a, struct failure *f) {
        g_autofree char *type = NULL;
        json_t *config;
        int r;

        r = oci_get(root, DOCUMENT, "config", JSON_OBJECT, true, &config, f);
        if (r >= 0)
                r = read_blob(config, &type, PROFILE_MANIFEST_MAX, &a->config, f);
        if (r < 0)
                return r;
        a->described = g_strcmp0(type, PROFILE_ARTIFACT_CONFIG) == 0;
        return a->described || g_strcmp0(type, EMPTY_TYPE) == 0
                       ? 0
                       : bad_type(f, "the media type of config", type, PROFILE_ARTIFACT_CONFIG ", " EMPTY_TYPE);
}

/* Where only the configuration has a type of ours, the artifact is from before there was an artifactType. */
static int read_type(const json_t *root, const struct profile_artifact *a, struct failure *f) {
        g_autofree char *type = NULL;
        int r;

        r = oci_get_text(root, DOCUMENT, "artifactType", &type, f);
        if (r < 0 || (type ? strcmp(type, PROFILE_ARTIFACT_TYPE) == 0 : a->described))
                return r;
        return bad_type(f, "artifactType", type, PROFILE_ARTIFACT_TYPE);
}

static bool is_layer(const char *type) {
        static const char *const types[] = {
                PROFILE_ARTIFACT_LAYER, PROFILE_ARTIFACT_LAYER "+gzip", PROFILE_ARTIFACT_LAYER "+zstd", NULL};

        return type && g_strv_contains(types, type);
}

static int read_layer(const json_t *root, struct profile_artifact *a, struct failure *f) {
        g_autofree char *type = NULL;
        json_t *layers;
        int r;

        r = oci_get(root, DOCUMENT, "layers", JSON_ARRAY, true, &layers, f);
        if (r < 0)
                return r;
        if (json_array_size(layers) != 1)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, DOCUMENT ": it has %zu layers, a profile has one",
                        json_array_size(layers));
        r = read_blob(json_array_get(layers, 0), &type, PROFILE_BYTES_MAX + LAYER_SLACK, &a->layer, f);
        if (r >= 0 && !is_layer(type))
                r = bad_type(f, "the media type of the layer", type, PROFILE_ARTIFACT_LAYER ", also +gzip or +zstd");
        return r;
}

int profile_artifact_parse(const char *text, size_t len, struct profile_artifact *ret, struct failure *f) {
        struct profile_artifact a = {};
        json_t *root;
        int r;

        r = oci_load(text, len, DOCUMENT, &root, f);
        if (r < 0)
                return r;
        r = json_is_object(root) ? read_config(root, &a, f) : oci_bad(f, DOCUMENT, "document", "must be an object");
        if (r >= 0)
                r = read_type(root, &a, f);
        if (r >= 0)
                r = read_layer(root, &a, f);
        json_decref(root);
        if (r >= 0)
                *ret = a;
        return r;
}

static json_t *descriptor(const char *type, const struct artifact_blob *b) {
        return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", b->digest, "size", (json_int_t) b->size);
}

char *profile_artifact_print(const struct profile_artifact *a, const char *title, const char *version) {
        json_t *manifest = json_pack("{s:i, s:s, s:s, s:o, s:[o], s:{s:s, s:s*}}", "schemaVersion", 2, "mediaType",
                MANIFEST_TYPE, "artifactType", PROFILE_ARTIFACT_TYPE, "config",
                descriptor(a->described ? PROFILE_ARTIFACT_CONFIG : EMPTY_TYPE, &a->config), "layers",
                descriptor(PROFILE_ARTIFACT_LAYER, &a->layer), "annotations", "org.opencontainers.image.title", title,
                "org.opencontainers.image.version", *version ? version : NULL);
        char *text = manifest ? json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

        json_decref(manifest);
        return text;
}
