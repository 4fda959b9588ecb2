/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a blob in order, with its digest. */
#include "worker/blob-stream.h"

#include <archive.h>
#include <errno.h>
#include <glib.h>
#include <string.h>

#define CHUNK (128U * 1024U)

int blob_stream_init(struct blob_stream *s, const struct source *source, struct extent extent, uint64_t *count) {
        *s = (struct blob_stream){.source = source, .left = extent, .count = count, .buf = g_malloc(CHUNK)};
        return digest_init(&s->digest);
}

void blob_stream_clear(struct blob_stream *s) {
        digest_clear(&s->digest);
        g_clear_pointer(&s->buf, g_free);
}

/* Returns the bytes now in buf, 0 at the end, or a negative errno. */
static ssize_t next_chunk(struct blob_stream *s) {
        size_t n = (size_t) MIN(s->left.size, CHUNK);
        int r;

        if (n == 0)
                return 0;
        r = source_read(s->source, s->left.offset, s->buf, n);
        if (r >= 0)
                r = digest_update(&s->digest, s->buf, n);
        if (r < 0) {
                s->error = r;
                return r;
        }
        s->left.offset += n;
        s->left.size -= n;
        if (s->count)
                *s->count += n;
        return (ssize_t) n;
}

static la_ssize_t on_read(struct archive *a, void *user, const void **ret) {
        struct blob_stream *s = user;
        ssize_t n = next_chunk(s);

        if (n < 0) {
                archive_set_error(a, (int) -n, "%s", g_strerror((int) -n));
                return -1;
        }
        *ret = s->buf;
        return n;
}

int blob_stream_open(struct blob_stream *s, struct archive *a) {
        return archive_read_open(a, s, NULL, on_read, NULL);
}

int blob_stream_verify(struct blob_stream *s, const char *digest, struct failure *f) {
        char found[DIGEST_TEXT_SIZE];
        ssize_t n;
        int r;

        do
                n = next_chunk(s);
        while (n > 0);
        if (n < 0)
                return fail_errno(f, (int) n, "reading a blob");
        r = digest_text(&s->digest, found);
        if (r < 0)
                return fail_errno(f, r, "hashing a blob");
        if (strcmp(found, digest) != 0)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "blob %s has the digest %s", digest, found);
        return 0;
}
