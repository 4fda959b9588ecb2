/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OCI archives: from index.json over the manifest to config and layers, every blob checked against its name. */
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "worker/digest.h"
#include "worker/elf-check.h"
#include "worker/import.h"
#include "worker/layer.h"
#include "worker/layout-writer.h"
#include "worker/oci-json.h"

static char *blob_path(const char *digest) {
        return g_strconcat("blobs/sha256/", digest + strlen("sha256:"), NULL);
}

static int check_blob_size(const oci_descriptor *d, uint64_t size, struct failure *f) {
        if (size != d->size)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "blob %s has %" PRIu64 " bytes, its descriptor says %" PRIu64,
                        d->digest, size, d->size);
        return 0;
}

/* A JSON blob: read, then verified, then used. */
static int read_blob(struct import *im, const struct archive_index *x, const oci_descriptor *d, char **ret,
        size_t *ret_len, struct failure *f) {
        g_autofree char *path = blob_path(d->digest);
        g_autofree char *text = NULL;
        char found[DIGEST_TEXT_SIZE];
        size_t len;
        int r;

        r = archive_index_read(x, path, im->limits.manifest, &text, &len, f);
        if (r >= 0)
                r = check_blob_size(d, len, f);
        if (r < 0)
                return r;
        r = digest_of(text, len, found);
        if (r < 0)
                return fail_errno(f, r, "hashing a blob");
        if (strcmp(found, d->digest) != 0)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "blob %s has the digest %s", d->digest, found);
        *ret = g_steal_pointer(&text);
        *ret_len = len;
        return 0;
}

/* What the walk through indexes finds. */
struct found {
        oci_document *manifest;
        char *digest, *name, *media_type;
        uint64_t size;
        json_t *chain; /* digests from what index.json names to the manifest */
};

static int find_manifest(struct import *im, const struct archive_index *x, struct found *found, struct failure *f) {
        g_autoptr(oci_document) document = NULL;
        g_autofree char *text = NULL;
        size_t len;
        int r;

        r = archive_index_read(x, "index.json", im->limits.manifest, &text, &len, f);
        if (r >= 0)
                r = oci_document_parse(text, len, im->limits.layers, &document, f);
        for (unsigned depth = 0; r >= 0 && document->is_index; depth++) {
                const oci_descriptor *d;

                if (depth == LIMIT_INDEX_DEPTH)
                        return failf(f, -E2BIG, FAILURE_LIMIT, "indexes are nested deeper than %u", LIMIT_INDEX_DEPTH);
                r = oci_document_choose(document, architecture_oci(im->architecture), &d, f);
                if (r < 0)
                        return r;
                g_clear_pointer(&text, g_free);
                r = read_blob(im, x, d, &text, &len, f);
                if (r < 0)
                        return r;
                g_free(found->digest);
                g_free(found->media_type);
                found->digest = g_strdup(d->digest);
                found->media_type = g_strdup(d->media_type);
                found->size = d->size;
                (void) json_array_append_new(found->chain, json_string(d->digest));
                if (!found->name)
                        found->name = g_strdup(d->name);
                g_clear_pointer(&document, oci_document_free);
                r = oci_document_parse(text, len, im->limits.layers, &document, f);
        }
        if (r >= 0 && !found->digest)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "index.json is no index");
        if (r >= 0)
                found->manifest = g_steal_pointer(&document);
        return r;
}

static int find_layers(const struct archive_index *x, const oci_document *manifest, GArray *ret, struct failure *f) {
        for (guint i = manifest->layers->len; i > 0; i--) {
                const oci_descriptor *d = g_ptr_array_index(manifest->layers, i - 1);
                g_autofree char *path = blob_path(d->digest);
                struct layer layer = {.digest = d->digest};
                int r;

                if (!archive_index_find(x, path, &layer.extent))
                        return failf(f, -ENOENT, FAILURE_UNSUPPORTED, "the archive lacks the layer %s", d->digest);
                r = check_blob_size(d, layer.extent.size, f);
                if (r < 0)
                        return r;
                g_array_append_val(ret, layer);
        }
        return 0;
}

static json_t *layer_digests(const oci_document *manifest) {
        json_t *array = json_array();

        for (guint i = 0; i < manifest->layers->len; i++) {
                const oci_descriptor *d = g_ptr_array_index(manifest->layers, i);

                json_array_append_new(array, json_string(d->digest));
        }
        return array;
}

static int keep_blob(struct import *im, const struct archive_index *x, struct layout_writer *w, const char *digest,
        struct failure *f) {
        g_autofree char *path = blob_path(digest);
        struct extent e;

        if (!archive_index_find(x, path, &e))
                return failf(f, -ENOENT, FAILURE_UNSUPPORTED, "the archive lacks the blob %s", digest);
        return layout_writer_copy(w, digest, im->source.fd, e.offset, e.size, f);
}

/* What belongs to the image of all that is in the source. */
static int keep_archive(
        struct import *im, const struct archive_index *x, const struct found *found, struct failure *f) {
        const GPtrArray *layers = found->manifest->layers;
        struct layout_writer *w;
        uint64_t size;
        int r;

        if (im->archive < 0)
                return 0;
        r = layout_writer_new(im->archive, found->media_type ?: "application/vnd.oci.image.manifest.v1+json",
                found->digest, found->size, &w, f);
        if (r < 0)
                return r;
        r = keep_blob(im, x, w, found->digest, f);
        if (r >= 0)
                r = keep_blob(im, x, w, found->manifest->config->digest, f);
        for (guint i = 0; r >= 0 && i < layers->len; i++)
                r = keep_blob(im, x, w, ((const oci_descriptor *) layers->pdata[i])->digest, f);
        if (r >= 0)
                r = layout_writer_finish(w, &size, f);
        layout_writer_free(w);
        return r;
}

static int import_manifest(struct import *im, const struct archive_index *x, const struct found *found,
        json_t **ret_done, struct failure *f) {
        g_autoptr(GArray) layers = g_array_new(FALSE, FALSE, sizeof(struct layer));
        g_autoptr(oci_config) config = NULL;
        g_autofree char *text = NULL;
        uint64_t size = 0;
        size_t len;
        int r;

        r = read_blob(im, x, found->manifest->config, &text, &len, f);
        if (r >= 0)
                r = oci_config_parse(text, len, &config, f);
        if (r >= 0)
                r = import_check_platform(im, config->os, config->architecture, f);
        if (r >= 0)
                r = find_layers(x, found->manifest, layers, f);
        if (r >= 0)
                job_digest(im->job, found->digest);
        if (r >= 0)
                r = import_layers(im, layers, &size, f);
        if (r >= 0)
                r = keep_archive(im, x, found, f);
        if (r < 0)
                return r;
        *ret_done = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:O, s:O, s:s*}", "kind", "oci", "digest", found->digest,
                "config_digest", found->manifest->config->digest, "architecture", im->architecture, "size",
                (json_int_t) size, "layers", layer_digests(found->manifest), "config", config->run, "chain",
                found->chain, "name", found->name);
        return *ret_done ? 0 : -ENOMEM;
}

int import_oci(struct import *im, const struct archive_index *x, json_t **ret_done, struct failure *f) {
        struct found found = {.chain = json_array()};
        g_autofree char *text = NULL;
        size_t len;
        int r;

        r = archive_index_read(x, "oci-layout", im->limits.manifest, &text, &len, f);
        if (r >= 0)
                r = oci_layout_check(text, len, f);
        if (r >= 0)
                r = find_manifest(im, x, &found, f);
        if (r >= 0)
                r = import_manifest(im, x, &found, ret_done, f);
        oci_document_free(found.manifest);
        json_decref(found.chain);
        g_free(found.digest);
        g_free(found.media_type);
        g_free(found.name);
        return r;
}
