/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Docker archives (docker save): manifest.json names a config and layer tars; the config, whose digest docker calls the
 * image id, names the digest of every layer's tar. A manifest in OCI's sense there is none, so one is made. */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "worker/digest.h"
#include "worker/entry-name.h"
#include "worker/import.h"
#include "worker/layer.h"
#include "worker/made-manifest.h"
#include "worker/oci-json.h"

#define CHUNK (256U * 1024U)

static int find_layer(
        struct import *im, const struct archive_index *x, const char *member, struct extent *ret, struct failure *f) {
        g_autofree char *name = NULL;
        int r;

        r = entry_name_clean(member, &im->limits, "layer", &name, f);
        if (r >= 0 && !archive_index_find(x, name, ret))
                r = failf(f, -ENOENT, FAILURE_UNSUPPORTED, "the archive lacks the layer \"%.200s\"", member);
        return r;
}

static int find_layers(struct import *im, const struct archive_index *x, const docker_manifest *m, const oci_config *c,
        GArray *ret, struct failure *f) {
        if (m->layers->len != c->diff_ids->len)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "manifest.json names %u layers, the image config %u",
                        m->layers->len, c->diff_ids->len);
        for (guint i = m->layers->len; i > 0; i--) {
                struct layer layer = {.diff_id = g_ptr_array_index(c->diff_ids, i - 1)};
                int r;

                if (!digest_is_valid(layer.diff_id))
                        return failf(
                                f, -EBADMSG, FAILURE_UNSUPPORTED, "image config: \"diff_ids\" holds no sha256 digest");
                r = find_layer(im, x, g_ptr_array_index(m->layers, i - 1), &layer.extent, f);
                if (r < 0)
                        return r;
                g_array_append_val(ret, layer);
        }
        return 0;
}

static json_t *layer_digests(const oci_config *c) {
        json_t *array = json_array();

        for (guint i = 0; i < c->diff_ids->len; i++)
                json_array_append_new(array, json_string(g_ptr_array_index(c->diff_ids, i)));
        return array;
}

/* docker names the config by its digest; a file that says something else was tampered with. */
static int check_config_name(const char *name, const char *digest, struct failure *f) {
        g_autofree char *base = g_path_get_basename(name);
        const char *hex = digest + strlen("sha256:");

        if (g_str_has_suffix(base, ".json"))
                base[strlen(base) - strlen(".json")] = 0;
        if (strlen(base) == 64 && strspn(base, "0123456789abcdef") == 64 && strcmp(base, hex) != 0)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "image config \"%.200s\" has the digest %s", name, digest);
        return 0;
}

static int read_config(struct import *im, const struct archive_index *x, const char *member, oci_config **ret,
        made_manifest **ret_made, struct failure *f) {
        g_autofree char *name = NULL;
        char *text = NULL;
        size_t len;
        int r;

        r = entry_name_clean(member, &im->limits, "image config", &name, f);
        if (r >= 0)
                r = archive_index_read(x, name, im->limits.manifest, &text, &len, f);
        if (r < 0)
                return r;
        r = made_manifest_new(text, len, ret_made, f);
        if (r < 0)
                return r;
        r = check_config_name(name, (*ret_made)->config_digest, f);
        if (r >= 0)
                r = oci_config_parse(text, len, ret, f);
        return r >= 0 ? import_check_platform(im, (*ret)->os, (*ret)->architecture, f) : r;
}

/* The digest of a compressed layer is found nowhere in the archive. */
static int hash_extent(struct import *im, const struct extent *e, char ret[DIGEST_TEXT_SIZE], struct failure *f) {
        g_autofree char *buf = g_malloc(CHUNK);
        struct digest sum = {};
        int r;

        r = digest_init(&sum);
        for (uint64_t at = 0; r >= 0 && at < e->size; at += CHUNK) {
                size_t n = (size_t) MIN(e->size - at, CHUNK);

                r = source_read(&im->source, e->offset + at, buf, n);
                if (r >= 0)
                        r = digest_update(&sum, buf, n);
        }
        if (r >= 0)
                r = digest_text(&sum, ret);
        digest_clear(&sum);
        return r < 0 ? fail_errno(f, r, "hashing a layer") : 0;
}

/* layers: top first. */
static int make_manifest(struct import *im, const GArray *layers, made_manifest *made, struct failure *f) {
        for (guint i = layers->len; i > 0; i--) {
                const struct layer *l = &g_array_index(layers, struct layer, i - 1);
                char head[4] = {}, digest[DIGEST_TEXT_SIZE];
                int r;

                r = source_read(&im->source, l->extent.offset, head, (size_t) MIN(l->extent.size, sizeof head));
                if (r < 0)
                        return fail_errno(f, r, "reading a layer");
                (void) g_strlcpy(digest, l->diff_id, sizeof digest);
                if (g_str_has_suffix(made_layer_type(head), "zip") || g_str_has_suffix(made_layer_type(head), "zstd"))
                        r = hash_extent(im, &l->extent, digest, f);
                if (r < 0)
                        return r;
                made_manifest_add(made, digest, made_layer_type(head), l->extent.size, l->extent);
        }
        return made_manifest_seal(made, f);
}

static int keep_archive(struct import *im, const made_manifest *made, struct failure *f) {
        struct layout_writer *w;
        uint64_t size;
        int r;

        if (im->archive < 0)
                return 0;
        r = made_manifest_write(made, im->archive, &w, f);
        if (r < 0)
                return r;
        for (guint i = 0; r >= 0 && i < made->layers->len; i++) {
                const struct made_layer *l = &g_array_index(made->layers, struct made_layer, i);

                r = layout_writer_copy(w, l->digest, im->source.fd, l->extent.offset, l->extent.size, f);
        }
        if (r >= 0)
                r = layout_writer_finish(w, &size, f);
        layout_writer_free(w);
        return r;
}

int import_docker(struct import *im, const struct archive_index *x, json_t **ret_done, struct failure *f) {
        g_autoptr(GArray) layers = g_array_new(FALSE, FALSE, sizeof(struct layer));
        g_autoptr(docker_manifest) manifest = NULL;
        g_autoptr(made_manifest) made = NULL;
        g_autoptr(oci_config) config = NULL;
        g_autofree char *text = NULL;
        uint64_t size = 0;
        size_t len;
        int r;

        r = archive_index_read(x, "manifest.json", im->limits.manifest, &text, &len, f);
        if (r >= 0)
                r = docker_manifest_parse(text, len, im->limits.layers, &manifest, f);
        if (r >= 0)
                r = read_config(im, x, manifest->config, &config, &made, f);
        if (r >= 0)
                r = find_layers(im, x, manifest, config, layers, f);
        if (r >= 0)
                r = make_manifest(im, layers, made, f);
        if (r >= 0)
                job_digest(im->job, made->digest);
        if (r >= 0)
                r = import_layers(im, layers, &size, f);
        if (r >= 0)
                r = keep_archive(im, made, f);
        if (r < 0)
                return r;
        *ret_done = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:O, s:s*}", "kind", "docker", "digest", made->digest,
                "config_digest", made->config_digest, "architecture", im->architecture, "size", (json_int_t) size,
                "layers", layer_digests(config), "config", config->run, "name", manifest->name);
        return *ret_done ? 0 : -ENOMEM;
}
