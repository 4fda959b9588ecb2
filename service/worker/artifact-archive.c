/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Artifacts in OCI archives: digests are followed on the way in, and made on the way out. */
#include "worker/artifact-archive.h"

#include <archive.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "worker/layout-writer.h"

#define BLOCK (256 * 1024)
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

/* ---- Reading ---- */

static char *member_of(const char *digest) {
        return g_strconcat("blobs/sha256/", digest + strlen("sha256:"), NULL);
}

/* A JSON blob: read, then verified, then used. */
static int read_blob(
        struct artifact_archive *a, const char *digest, uint64_t max, char **ret, size_t *ret_len, struct failure *f) {
        g_autofree char *member = member_of(digest), *text = NULL;
        char found[DIGEST_TEXT_SIZE];
        size_t len;
        int r;

        r = archive_index_read(a->index, member, max, &text, &len, f);
        if (r < 0)
                return r;
        if (digest_of(text, len, found) < 0)
                return fail_errno(f, -EIO, "hashing a blob");
        if (strcmp(found, digest) != 0)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "blob %s has the digest %s", digest, found);
        *ret = g_steal_pointer(&text);
        *ret_len = len;
        return 0;
}

static int find_layer(struct artifact_archive *a, struct failure *f) {
        g_autofree char *member = member_of(a->artifact.layer.digest);

        if (!archive_index_find(a->index, member, &a->layer))
                return failf(
                        f, -ENOENT, FAILURE_UNSUPPORTED, "the archive lacks the blob %s", a->artifact.layer.digest);
        if (a->layer.size != a->artifact.layer.size)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "blob %s has %" PRIu64 " bytes, the manifest says %" PRIu64,
                        a->artifact.layer.digest, a->layer.size, a->artifact.layer.size);
        return 0;
}

int artifact_archive_open(struct job *job, const struct artifact_kind *kind, const struct limits *limits,
        struct artifact_archive *ret, struct failure *f) {
        const char *digest = job_string(job, "digest");
        g_autofree char *text = NULL;
        size_t len;
        int r;

        *ret = (struct artifact_archive){.source = {.fd = -1}};
        if (!digest || !digest_is_valid(digest))
                return failf(f, -EINVAL, FAILURE_SPEC, "the launch message lacks the digest");
        r = source_open(job, limits, &ret->source, f);
        if (r >= 0)
                r = archive_index_new(&ret->source, limits, &ret->index, f);
        if (r >= 0)
                r = read_blob(ret, digest, limits->manifest, &text, &len, f);
        if (r >= 0)
                r = artifact_parse(kind, text, len, &ret->artifact, f);
        if (r >= 0 && ret->artifact.described)
                r = read_blob(ret, ret->artifact.config.digest, kind->config_max, &ret->config, &ret->config_len, f);
        return r < 0 ? r : find_layer(ret, f);
}

void artifact_archive_clear(struct artifact_archive *a) {
        archive_index_free(a->index);
        source_clear(&a->source);
        g_clear_pointer(&a->config, g_free);
}

/* ---- Writing ---- */

/* Where the layer's bytes go: into a digest, or into the archive. */
struct sink {
        struct layout_writer *writer;
        struct digest sum;
        uint64_t size;
        struct failure *failure;
};

static la_ssize_t on_write(struct archive *a, void *user, const void *data, size_t len) {
        struct sink *s = user;
        int r;

        if (s->writer)
                r = layout_writer_append(s->writer, data, len, s->failure);
        else {
                r = digest_update(&s->sum, data, len);
                s->size += len;
        }
        if (r < 0) {
                archive_set_error(a, -r, "%s", g_strerror(-r));
                return -1;
        }
        return (la_ssize_t) len;
}

int artifact_layer_failed(struct archive *a, struct failure *f) {
        int error = archive_errno(a);

        return fail_errno(f, error > 0 ? -error : -EIO, "writing the layer");
}

static int make_layer(const struct artifact_layer *layer, struct sink *sink, struct failure *f) {
        struct archive *a = archive_write_new();
        int r = 0;

        sink->failure = f;
        if (!a || layer->format(a) != ARCHIVE_OK || archive_write_set_bytes_per_block(a, BLOCK) != ARCHIVE_OK ||
                archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
                archive_write_open(a, sink, NULL, on_write, NULL) != ARCHIVE_OK)
                r = fail_errno(f, -EIO, "beginning the layer");
        if (r >= 0)
                r = layer->fill(a, layer->userdata, f);
        if (r >= 0 && archive_write_close(a) != ARCHIVE_OK)
                r = artifact_layer_failed(a, f);
        (void) archive_write_free(a);
        return r;
}

static int measure(const struct artifact_layer *layer, struct artifact_blob *ret, struct failure *f) {
        struct sink sink = {};
        int r;

        r = digest_init(&sink.sum);
        if (r < 0)
                return fail_errno(f, r, "hashing the layer");
        r = make_layer(layer, &sink, f);
        if (r >= 0 && digest_text(&sink.sum, ret->digest) < 0)
                r = fail_errno(f, -EIO, "hashing the layer");
        ret->size = sink.size;
        digest_clear(&sink.sum);
        return r;
}

static int write_layer(
        struct layout_writer *w, const struct artifact_layer *layer, const struct artifact_blob *b, struct failure *f) {
        struct sink sink = {.writer = w};
        int r;

        r = layout_writer_begin(w, b->digest, b->size, f);
        if (r >= 0)
                r = make_layer(layer, &sink, f);
        return r < 0 ? r : layout_writer_end(w, f);
}

int artifact_archive_write(int fd, const struct artifact_kind *kind, const char *config, size_t config_len,
        const char *title, const char *version, const struct artifact_layer *layer, char ret[DIGEST_TEXT_SIZE],
        struct failure *f) {
        struct artifact a = {.described = true, .config.size = config_len};
        struct layout_writer *w = NULL;
        uint64_t size;
        char *text;
        int r;

        if (digest_of(config, config_len, a.config.digest) < 0)
                return fail_errno(f, -EIO, "hashing the configuration");
        r = measure(layer, &a.layer, f);
        if (r < 0)
                return r;
        text = artifact_print(kind, &a, title, version);
        if (!text || digest_of(text, strlen(text), ret) < 0)
                r = fail_errno(f, -ENOMEM, "making the artifact's manifest");
        if (r >= 0)
                r = layout_writer_new(fd, MANIFEST_TYPE, ret, strlen(text), &w, f);
        if (r >= 0)
                r = layout_writer_add(w, ret, text, strlen(text), f);
        if (r >= 0)
                r = layout_writer_add(w, a.config.digest, config, config_len, f);
        if (r >= 0)
                r = write_layer(w, layer, &a.layer, f);
        if (r >= 0)
                r = layout_writer_finish(w, &size, f);
        layout_writer_free(w);
        free(text);
        return r;
}
