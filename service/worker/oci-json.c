/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Indexes, manifests and layouts: parsed with every type checked. */
#include "worker/oci-json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "worker/digest.h"
#include "worker/oci-json-private.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define CONTAINERD_NAME "io.containerd.image.name"

void oci_descriptor_free(oci_descriptor *d) {
        if (!d)
                return;
        g_free(d->media_type);
        g_free(d->digest);
        g_free(d->os);
        g_free(d->architecture);
        g_free(d->name);
        g_free(d);
}

void oci_document_free(oci_document *d) {
        if (!d)
                return;
        g_clear_pointer(&d->manifests, g_ptr_array_unref);
        g_clear_pointer(&d->layers, g_ptr_array_unref);
        oci_descriptor_free(d->config);
        g_free(d);
}

void docker_manifest_free(docker_manifest *m) {
        if (!m)
                return;
        g_free(m->config);
        g_free(m->name);
        g_clear_pointer(&m->layers, g_ptr_array_unref);
        g_free(m);
}

int oci_bad(struct failure *f, const char *document, const char *key, const char *why) {
        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "%s: \"%s\" %s", document, key, why);
}

int oci_load(const char *text, size_t len, const char *document, json_t **ret, struct failure *f) {
        json_error_t error;
        json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

        if (!root)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "%s is no JSON: line %d: %s", document, error.line,
                        error.text);
        *ret = root;
        return 0;
}

int oci_get(const json_t *object,
        const char *document,
        const char *key,
        json_type type,
        bool needed,
        json_t **ret,
        struct failure *f) {
        static const char *const names[] = {
                [JSON_OBJECT] = "object", [JSON_ARRAY] = "array", [JSON_STRING] = "string", [JSON_INTEGER] = "number"};
        json_t *value = json_object_get(object, key);
        g_autofree char *why = NULL;

        if (json_is_null(value))
                value = NULL;
        if (!value && needed)
                return oci_bad(f, document, key, "is missing");
        if (value && json_typeof(value) != type) {
                why = g_strdup_printf(
                        "must be %s %s", type == JSON_STRING || type == JSON_INTEGER ? "a" : "an", names[type]);
                return oci_bad(f, document, key, why);
        }
        *ret = value;
        return 0;
}

int oci_get_text(const json_t *object, const char *document, const char *key, char **ret, struct failure *f) {
        json_t *value;
        int r = oci_get(object, document, key, JSON_STRING, false, &value, f);

        if (r >= 0)
                *ret = g_strdup(json_string_value(value));
        return r;
}

static int parse_platform(const json_t *object, const char *document, oci_descriptor *d, struct failure *f) {
        json_t *platform, *annotations;
        int r;

        r = oci_get(object, document, "platform", JSON_OBJECT, false, &platform, f);
        if (r >= 0 && platform)
                r = oci_get_text(platform, document, "os", &d->os, f);
        if (r >= 0 && platform)
                r = oci_get_text(platform, document, "architecture", &d->architecture, f);
        if (r >= 0)
                r = oci_get(object, document, "annotations", JSON_OBJECT, false, &annotations, f);
        if (r >= 0 && annotations)
                r = oci_get_text(annotations, document, CONTAINERD_NAME, &d->name, f);
        if (r >= 0 && annotations && !d->name)
                r = oci_get_text(annotations, document, REF_NAME, &d->name, f);
        return r;
}

static int parse_descriptor(const json_t *object, const char *document, oci_descriptor **ret, struct failure *f) {
        g_autoptr(oci_descriptor) d = g_new0(oci_descriptor, 1);
        json_t *size, *digest;
        int r;

        if (!json_is_object(object))
                return oci_bad(f, document, "descriptor", "must be an object");
        r = oci_get_text(object, document, "mediaType", &d->media_type, f);
        if (r >= 0)
                r = oci_get(object, document, "digest", JSON_STRING, true, &digest, f);
        if (r >= 0)
                r = oci_get(object, document, "size", JSON_INTEGER, true, &size, f);
        if (r >= 0)
                r = parse_platform(object, document, d, f);
        if (r < 0)
                return r;
        if (!digest_is_valid(json_string_value(digest)))
                return oci_bad(f, document, "digest", "is no sha256 digest");
        if (json_integer_value(size) < 0)
                return oci_bad(f, document, "size", "is negative");
        d->digest = g_strdup(json_string_value(digest));
        d->size = (uint64_t) json_integer_value(size);
        d->kind = d->media_type ? media_kind(d->media_type) : MEDIA_UNKNOWN;
        *ret = g_steal_pointer(&d);
        return 0;
}

static int need_kind(const oci_descriptor *d, const char *document, enum media_kind kind, struct failure *f) {
        if (d->kind == kind)
                return 0;
        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "%s: media type \"%.100s\" is not read here; accepted: %s",
                document, d->media_type ?: "", media_kind_accepted(kind));
}

static int parse_descriptors(const json_t *array, const char *document, GPtrArray *ret, struct failure *f) {
        json_t *item;
        size_t i;

        json_array_foreach((json_t *) array, i, item) {
                oci_descriptor *d;
                int r = parse_descriptor(item, document, &d, f);

                if (r < 0)
                        return r;
                g_ptr_array_add(ret, d);
        }
        return 0;
}

static int parse_index(const json_t *root, oci_document *d, struct failure *f) {
        json_t *manifests;
        int r;

        r = oci_get(root, "index", "manifests", JSON_ARRAY, true, &manifests, f);
        if (r < 0)
                return r;
        if (json_array_size(manifests) > OCI_INDEX_ENTRIES_MAX)
                return failf(f, -E2BIG, FAILURE_LIMIT, "the index lists more than %u manifests", OCI_INDEX_ENTRIES_MAX);
        d->is_index = true;
        d->manifests = g_ptr_array_new_with_free_func((GDestroyNotify) oci_descriptor_free);
        return parse_descriptors(manifests, "index", d->manifests, f);
}

static int check_layer_count(const json_t *layers, uint64_t max, struct failure *f) {
        if (json_array_size(layers) > max)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "the image has %zu layers, more than %" PRIu64 " (limit \"layers\")", json_array_size(layers),
                        max);
        return 0;
}

static int parse_manifest(const json_t *root, uint64_t max_layers, oci_document *d, struct failure *f) {
        json_t *config, *layers;
        int r;

        r = oci_get(root, "manifest", "config", JSON_OBJECT, true, &config, f);
        if (r >= 0)
                r = oci_get(root, "manifest", "layers", JSON_ARRAY, true, &layers, f);
        if (r >= 0)
                r = check_layer_count(layers, max_layers, f);
        if (r >= 0)
                r = parse_descriptor(config, "manifest config", &d->config, f);
        if (r >= 0)
                r = need_kind(d->config, "manifest config", MEDIA_CONFIG, f);
        if (r < 0)
                return r;
        d->layers = g_ptr_array_new_with_free_func((GDestroyNotify) oci_descriptor_free);
        r = parse_descriptors(layers, "manifest layers", d->layers, f);
        for (guint i = 0; r >= 0 && i < d->layers->len; i++)
                r = need_kind(g_ptr_array_index(d->layers, i), "manifest layers", MEDIA_LAYER, f);
        return r;
}

/* The document's own mediaType is optional in OCI; when it is there it must be one we know. */
static int check_own_type(const json_t *root, bool index, struct failure *f) {
        g_autofree char *type = NULL;
        enum media_kind want = index ? MEDIA_INDEX : MEDIA_MANIFEST;
        int r;

        r = oci_get_text(root, index ? "index" : "manifest", "mediaType", &type, f);
        if (r >= 0 && type && media_kind(type) != want)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "media type \"%.100s\" is not read here; accepted: %s",
                        type, media_kind_accepted(want));
        return r;
}

static int check_schema(const json_t *root, struct failure *f) {
        json_t *version;
        int r = oci_get(root, "index or manifest", "schemaVersion", JSON_INTEGER, true, &version, f);

        if (r >= 0 && json_integer_value(version) != 2)
                return oci_bad(f, "index or manifest", "schemaVersion", "must be 2");
        return r;
}

int oci_document_parse(const char *text, size_t len, uint64_t max_layers, oci_document **ret, struct failure *f) {
        g_autoptr(oci_document) d = g_new0(oci_document, 1);
        json_t *root = NULL;
        bool index;
        int r;

        r = oci_load(text, len, "index or manifest", &root, f);
        if (r < 0)
                return r;
        index = json_object_get(root, "manifests");
        r = json_is_object(root) ? check_schema(root, f)
                                 : oci_bad(f, "index or manifest", "document", "must be an object");
        if (r >= 0)
                r = check_own_type(root, index, f);
        if (r >= 0)
                r = index ? parse_index(root, d, f) : parse_manifest(root, max_layers, d, f);
        json_decref(root);
        if (r >= 0)
                *ret = g_steal_pointer(&d);
        return r;
}

int oci_layout_check(const char *text, size_t len, struct failure *f) {
        g_autofree char *version = NULL;
        json_t *root = NULL;
        int r;

        r = oci_load(text, len, "oci-layout", &root, f);
        if (r >= 0)
                r = oci_get_text(root, "oci-layout", "imageLayoutVersion", &version, f);
        json_decref(root);
        if (r >= 0 && (!version || !g_str_has_prefix(version, "1.")))
                return oci_bad(f, "oci-layout", "imageLayoutVersion", "must be 1.x");
        return r;
}

static bool platform_matches(const oci_descriptor *d, const char *architecture) {
        return (!d->os || strcmp(d->os, "linux") == 0) &&
               (!d->architecture || strcmp(d->architecture, architecture) == 0);
}

static void list_platform(GString *s, const oci_descriptor *d) {
        if (s->len < 500)
                g_string_append_printf(s, "%s%s/%s%s%s", s->len > 0 ? ", " : "", d->os ?: "?", d->architecture ?: "?",
                        d->name ? " " : "", d->name ?: "");
}

int oci_document_choose(
        const oci_document *index, const char *architecture, const oci_descriptor **ret, struct failure *f) {
        g_autoptr(GString) seen = g_string_new(NULL), matching = g_string_new(NULL);
        const oci_descriptor *found = NULL;

        for (guint i = 0; i < index->manifests->len; i++) {
                const oci_descriptor *d = g_ptr_array_index(index->manifests, i);

                list_platform(seen, d);
                if (!platform_matches(d, architecture))
                        continue;
                list_platform(matching, d);
                if (found && strcmp(found->digest, d->digest) != 0)
                        return failf(f, -ENOENT, FAILURE_UNSUPPORTED,
                                "the archive holds several images for linux/%s (%s); export the one you want",
                                architecture, matching->str);
                found = found ?: d;
        }
        if (!found)
                return failf(f, -ENOENT, FAILURE_UNSUPPORTED, "the image has nothing for linux/%s, only: %s",
                        architecture, seen->len > 0 ? seen->str : "nothing at all");
        if (found->kind != MEDIA_INDEX && found->kind != MEDIA_MANIFEST)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED,
                        "index: media type \"%.100s\" is not read here; accepted: %s", found->media_type ?: "",
                        media_kind_accepted(MEDIA_INDEX));
        *ret = found;
        return 0;
}

/* An array of texts; nothing in ret on failure is of use. */
int oci_get_texts(
        const json_t *object, const char *document, const char *key, bool needed, GPtrArray *ret, struct failure *f) {
        json_t *array, *item;
        size_t i;
        int r;

        r = oci_get(object, document, key, JSON_ARRAY, needed, &array, f);
        if (r < 0)
                return r;
        json_array_foreach(array, i, item) {
                if (!json_is_string(item))
                        return oci_bad(f, document, key, "must be an array of strings");
                g_ptr_array_add(ret, g_strdup(json_string_value(item)));
        }
        return 0;
}

static int docker_image(const json_t *image, uint64_t max_layers, docker_manifest *m, struct failure *f) {
        g_autoptr(GPtrArray) tags = g_ptr_array_new_with_free_func(g_free);
        const char *document = "manifest.json";
        int r;

        m->layers = g_ptr_array_new_with_free_func(g_free);
        r = oci_get_text(image, document, "Config", &m->config, f);
        if (r >= 0 && !m->config)
                return oci_bad(f, document, "Config", "is missing");
        if (r >= 0)
                r = check_layer_count(json_object_get(image, "Layers"), max_layers, f);
        if (r >= 0)
                r = oci_get_texts(image, document, "Layers", true, m->layers, f);
        if (r >= 0)
                r = oci_get_texts(image, document, "RepoTags", false, tags, f);
        if (r >= 0 && tags->len > 0)
                m->name = g_strdup(g_ptr_array_index(tags, 0));
        return r;
}

int docker_manifest_parse(const char *text, size_t len, uint64_t max_layers, docker_manifest **ret, struct failure *f) {
        g_autoptr(docker_manifest) m = g_new0(docker_manifest, 1);
        json_t *root = NULL;
        int r;

        r = oci_load(text, len, "manifest.json", &root, f);
        if (r < 0)
                return r;
        if (!json_is_array(root) || !json_is_object(json_array_get(root, 0)))
                r = oci_bad(f, "manifest.json", "document", "must be an array of images");
        else if (json_array_size(root) != 1)
                r = failf(f, -EBADMSG, FAILURE_UNSUPPORTED,
                        "the docker archive holds %zu images; save the one you want", json_array_size(root));
        else
                r = docker_image(json_array_get(root, 0), max_layers, m, f);
        json_decref(root);
        if (r >= 0)
                *ret = g_steal_pointer(&m);
        return r;
}
