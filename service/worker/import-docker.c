/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Docker archives (docker save): manifest.json names a config and layer tars. The image's digest is that of its config,
 * which docker calls the image id; the config names the digest of every layer's tar. */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "worker/digest.h"
#include "worker/entry-name.h"
#include "worker/import.h"
#include "worker/layer.h"
#include "worker/oci-json.h"

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
        char digest[DIGEST_TEXT_SIZE], struct failure *f) {
        g_autofree char *text = NULL;
        g_autofree char *name = NULL;
        size_t len;
        int r;

        r = entry_name_clean(member, &im->limits, "image config", &name, f);
        if (r >= 0)
                r = archive_index_read(x, name, im->limits.manifest, &text, &len, f);
        if (r < 0)
                return r;
        r = digest_of(text, len, digest);
        if (r < 0)
                return fail_errno(f, r, "hashing the image config");
        r = check_config_name(name, digest, f);
        if (r >= 0)
                r = oci_config_parse(text, len, ret, f);
        return r >= 0 ? import_check_platform(im, (*ret)->os, (*ret)->architecture, f) : r;
}

int import_docker(struct import *im, const struct archive_index *x, json_t **ret_done, struct failure *f) {
        g_autoptr(GArray) layers = g_array_new(FALSE, FALSE, sizeof(struct layer));
        g_autoptr(docker_manifest) manifest = NULL;
        g_autoptr(oci_config) config = NULL;
        char digest[DIGEST_TEXT_SIZE];
        g_autofree char *text = NULL;
        uint64_t size = 0;
        size_t len;
        int r;

        r = archive_index_read(x, "manifest.json", im->limits.manifest, &text, &len, f);
        if (r >= 0)
                r = docker_manifest_parse(text, len, im->limits.layers, &manifest, f);
        if (r >= 0)
                r = read_config(im, x, manifest->config, &config, digest, f);
        if (r >= 0)
                r = find_layers(im, x, manifest, config, layers, f);
        if (r >= 0)
                job_digest(im->job, digest);
        if (r >= 0)
                r = import_layers(im, layers, &size, f);
        if (r < 0)
                return r;
        *ret_done = json_pack("{s:s, s:s, s:s, s:I, s:o, s:O, s:s*}", "kind", "docker", "digest", digest,
                "architecture", im->architecture, "size", (json_int_t) size, "layers", layer_digests(config), "config",
                config->run, "name", manifest->name);
        return *ret_done ? 0 : -ENOMEM;
}
