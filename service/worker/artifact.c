/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests of artifacts in registries: one configuration, one layer, media types that are ours. */
#include "worker/artifact.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "shared/artifact-type.h"
#include "shared/profile-path.h"
#include "worker/image-limits.h"
#include "worker/oci-json-private.h"

#define DOCUMENT "manifest of an artifact"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define LAYER_SLACK (64ULL << 20) /* of a tar beside the bytes of its files */
#define NANOS_CONFIG_MAX 65536U

const struct artifact_kind artifact_profile = {
        .what = "profile",
        .type = ARTIFACT_PROFILE,
        .config_type = ARTIFACT_PROFILE_CONFIG,
        .layer_type = ARTIFACT_PROFILE_LAYER,
        .layers = {ARTIFACT_PROFILE_LAYER, ARTIFACT_PROFILE_LAYER "+gzip", ARTIFACT_PROFILE_LAYER "+zstd"},
        .readable = ARTIFACT_PROFILE_LAYER ", also +gzip or +zstd",
        .config_max = PROFILE_MANIFEST_MAX,
        .layer_max = PROFILE_BYTES_MAX + LAYER_SLACK,
        .may_be_empty = true,
};

const struct artifact_kind artifact_nanos = {
        .what = "disk of Target nanos",
        .type = ARTIFACT_NANOS,
        .config_type = ARTIFACT_NANOS_CONFIG,
        .layer_type = ARTIFACT_NANOS_LAYER,
        .layers = {ARTIFACT_NANOS_LAYER},
        .readable = ARTIFACT_NANOS_LAYER,
        .config_max = NANOS_CONFIG_MAX,
        .layer_max = LIMIT_BYTES_MAX,
};

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

static int read_config(const struct artifact_kind *kind, const json_t *root, struct artifact *a, struct failure *f) {
        g_autofree char *type = NULL;
        json_t *config;
        int r;

        r = oci_get(root, DOCUMENT, "config", JSON_OBJECT, true, &config, f);
        if (r >= 0)
                r = read_blob(config, &type, kind->config_max, &a->config, f);
        if (r < 0)
                return r;
        a->described = g_strcmp0(type, kind->config_type) == 0;
        if (a->described || (kind->may_be_empty && g_strcmp0(type, EMPTY_TYPE) == 0))
                return 0;
        return bad_type(f, "the media type of config", type, kind->config_type);
}

/* Where only the configuration has a type of ours, the artifact is from before there was an artifactType. */
static int read_type(
        const struct artifact_kind *kind, const json_t *root, const struct artifact *a, struct failure *f) {
        g_autofree char *type = NULL;
        int r;

        r = oci_get_text(root, DOCUMENT, "artifactType", &type, f);
        if (r < 0 || (type ? strcmp(type, kind->type) == 0 : a->described))
                return r;
        return bad_type(f, "artifactType", type, kind->type);
}

static int read_layer(const struct artifact_kind *kind, const json_t *root, struct artifact *a, struct failure *f) {
        g_autofree char *type = NULL;
        json_t *layers;
        int r;

        r = oci_get(root, DOCUMENT, "layers", JSON_ARRAY, true, &layers, f);
        if (r < 0)
                return r;
        if (json_array_size(layers) != 1)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, DOCUMENT ": it has %zu layers, a %s has one",
                        json_array_size(layers), kind->what);
        r = read_blob(json_array_get(layers, 0), &type, kind->layer_max, &a->layer, f);
        if (r >= 0 && !(type && g_strv_contains(kind->layers, type)))
                r = bad_type(f, "the media type of the layer", type, kind->readable);
        return r;
}

int artifact_parse(
        const struct artifact_kind *kind, const char *text, size_t len, struct artifact *ret, struct failure *f) {
        struct artifact a = {};
        json_t *root;
        int r;

        r = oci_load(text, len, DOCUMENT, &root, f);
        if (r < 0)
                return r;
        r = json_is_object(root) ? read_config(kind, root, &a, f)
                                 : oci_bad(f, DOCUMENT, "document", "must be an object");
        if (r >= 0)
                r = read_type(kind, root, &a, f);
        if (r >= 0)
                r = read_layer(kind, root, &a, f);
        json_decref(root);
        if (r >= 0)
                *ret = a;
        return r;
}

static json_t *descriptor(const char *type, const struct artifact_blob *b) {
        return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", b->digest, "size", (json_int_t) b->size);
}

char *artifact_print(
        const struct artifact_kind *kind, const struct artifact *a, const char *title, const char *version) {
        json_t *manifest = json_pack("{s:i, s:s, s:s, s:o, s:[o], s:{s:s, s:s*}}", "schemaVersion", 2, "mediaType",
                MANIFEST_TYPE, "artifactType", kind->type, "config",
                descriptor(a->described ? kind->config_type : EMPTY_TYPE, &a->config), "layers",
                descriptor(kind->layer_type, &a->layer), "annotations", "org.opencontainers.image.title", title,
                "org.opencontainers.image.version", *version ? version : NULL);
        char *text = manifest ? json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

        json_decref(manifest);
        return text;
}
