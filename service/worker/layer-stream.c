/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two libarchive readers in a row. */
#include "worker/layer-stream.h"

#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TAR_BLOCK 512U

/* The next bytes of the tar: length, 0 at its end, -1 when the unpacker or a limit says so. */
static la_ssize_t next_block(struct layer_stream *s, const void **ret) {
        struct archive_entry *entry;
        la_int64_t offset;
        size_t len = 0;
        int r = ARCHIVE_OK;

        if (s->ended)
                return 0;
        if (!s->begun) {
                r = archive_read_next_header(s->unpacker, &entry);
                s->begun = true;
        }
        while (r >= ARCHIVE_WARN && r != ARCHIVE_EOF && len == 0)
                r = archive_read_data_block(s->unpacker, ret, &len, &offset);
        if (r < ARCHIVE_WARN)
                return -1;
        if (r == ARCHIVE_EOF) {
                s->ended = true;
                return 0;
        }
        s->too_large = len > s->max - s->size;
        if (s->too_large || (s->digest.context && digest_update(&s->digest, *ret, len) < 0))
                return -1;
        s->size += len;
        return (la_ssize_t) len;
}

static la_ssize_t on_read(struct archive *a, void *user, const void **ret) {
        static const char zeros[4 * TAR_BLOCK];
        struct layer_stream *s = user;
        bool ended = s->ended;
        la_ssize_t n = next_block(s, ret);

        if (n < 0)
                archive_set_error(a, EIO, "%s", s->too_large ? "too large" : archive_error_string(s->unpacker) ?: "damaged");
        if (n != 0)
                return n;
        /* An empty layer stays empty. */
        if (!ended && s->size > 0)
                s->padding = 2 * TAR_BLOCK + (TAR_BLOCK - s->size % TAR_BLOCK) % TAR_BLOCK;
        n = (la_ssize_t) s->padding;
        s->padding = 0;
        *ret = zeros;
        return n;
}

int layer_stream_open(struct layer_stream *s,
        const struct source *source,
        struct extent extent,
        uint64_t *count,
        uint64_t max,
        bool hash,
        struct failure *f) {
        int r;

        *s = (struct layer_stream){.max = max};
        r = blob_stream_init(&s->blob, source, extent, count);
        if (r >= 0 && hash)
                r = digest_init(&s->digest);
        if (r < 0)
                return fail_errno(f, r, "reading a layer");
        s->unpacker = archive_util_layer();
        s->tar = archive_util_tar();
        if (!s->unpacker || !s->tar)
                return failf(f, -ENOSYS, FAILURE_OTHER, "libarchive lacks tar, gzip or zstd");
        if (blob_stream_open(&s->blob, s->unpacker) < ARCHIVE_WARN ||
                archive_read_open(s->tar, s, NULL, on_read, NULL) < ARCHIVE_WARN)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "a layer is no tar (plain, gzip or zstd): %s",
                        layer_stream_error(s));
        return 0;
}

void layer_stream_clear(struct layer_stream *s) {
        g_clear_pointer(&s->tar, archive_reader_free);
        g_clear_pointer(&s->unpacker, archive_reader_free);
        digest_clear(&s->digest);
        blob_stream_clear(&s->blob);
}

const char *layer_stream_error(struct layer_stream *s) {
        return archive_error_string(s->unpacker) ?: archive_error_string(s->tar) ?: "unknown error";
}

uint64_t layer_stream_position(struct layer_stream *s) {
        return (uint64_t) archive_filter_bytes(s->tar, 0);
}

bool layer_stream_invented(struct layer_stream *s, uint64_t position, uint64_t len) {
        return s->ended && position + len > s->size;
}

int layer_stream_verify_blob(struct layer_stream *s, const char *digest, struct failure *f) {
        return blob_stream_verify(&s->blob, digest, f);
}

int layer_stream_verify_tar(struct layer_stream *s, const char *diff_id, struct failure *f) {
        char found[DIGEST_TEXT_SIZE];
        const void *block;
        la_ssize_t n;

        do
                n = next_block(s, &block);
        while (n > 0);
        if (s->too_large)
                return failf(f, -E2BIG, FAILURE_LIMIT, "a layer unpacks to more than %" PRIu64 " bytes", s->max);
        if (n < 0)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "a layer is damaged: %s", layer_stream_error(s));
        if (digest_text(&s->digest, found) < 0)
                return fail_errno(f, -EIO, "hashing a layer");
        if (strcmp(found, diff_id) != 0)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "layer %s has the digest %s", diff_id, found);
        return 0;
}
