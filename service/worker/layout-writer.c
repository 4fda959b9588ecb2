/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OCI archives by libarchive: members in the order they are added, without times and owners. */
#include "worker/layout-writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <glib.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/digest.h"

#define CHUNK (256U * 1024U)
#define LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

struct layout_writer {
        struct archive *archive;
        GHashTable *digests; /* of the blobs that are in it */
        int fd;
        struct digest sum; /* of the blob that is begun */
        char wanted[DIGEST_TEXT_SIZE];
};

static int fail_archive(struct layout_writer *w, struct failure *f) {
        int error = archive_errno(w->archive);

        return fail_errno(f, error > 0 ? -error : -EIO, "writing the OCI archive");
}

static int begin_member(struct layout_writer *w, const char *path, uint64_t size, struct failure *f) {
        struct archive_entry *entry = archive_entry_new();
        int r;

        if (!entry)
                return fail_errno(f, -ENOMEM, "writing the OCI archive");
        archive_entry_set_pathname(entry, path);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, (la_int64_t) size);
        archive_entry_set_mtime(entry, 0, 0);
        r = archive_write_header(w->archive, entry);
        archive_entry_free(entry);
        return r == ARCHIVE_OK ? 0 : fail_archive(w, f);
}

static int append(struct layout_writer *w, const void *data, size_t len, struct failure *f) {
        return archive_write_data(w->archive, data, len) == (la_ssize_t) len ? 0 : fail_archive(w, f);
}

static int add_text(struct layout_writer *w, const char *path, const char *text, struct failure *f) {
        int r = begin_member(w, path, strlen(text), f);

        return r < 0 ? r : append(w, text, strlen(text), f);
}

static int add_index(
        struct layout_writer *w, const char *media_type, const char *digest, uint64_t size, struct failure *f) {
        json_t *index = json_pack("{s:i, s:[{s:s, s:s, s:I}]}", "schemaVersion", 2, "manifests", "mediaType",
                media_type, "digest", digest, "size", (json_int_t) size);
        char *text = index ? json_dumps(index, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        int r = text ? add_text(w, "index.json", text, f) : fail_errno(f, -ENOMEM, "writing the index");

        free(text);
        json_decref(index);
        return r;
}

int layout_writer_new(int fd, const char *media_type, const char *digest, uint64_t size, struct layout_writer **ret,
        struct failure *f) {
        struct layout_writer *w = g_new0(struct layout_writer, 1);
        int r = 0;

        *w = (struct layout_writer){.archive = archive_write_new(), .fd = fd};
        w->digests = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        if (!w->archive || archive_write_set_format_pax_restricted(w->archive) != ARCHIVE_OK ||
                archive_write_set_bytes_per_block(w->archive, (int) CHUNK) != ARCHIVE_OK ||
                archive_write_set_bytes_in_last_block(w->archive, 1) != ARCHIVE_OK ||
                archive_write_open_fd(w->archive, fd) != ARCHIVE_OK)
                r = fail_errno(f, -EIO, "beginning the OCI archive");
        if (r >= 0)
                r = add_text(w, "oci-layout", LAYOUT, f);
        if (r >= 0)
                r = add_index(w, media_type, digest, size, f);
        if (r < 0) {
                layout_writer_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

static char *blob_path(const char *digest) {
        return g_strconcat("blobs/sha256/", digest + strlen("sha256:"), NULL);
}

static int check_digest(const char *wanted, const char *found, struct failure *f) {
        if (strcmp(wanted, found) != 0)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "blob %s has the digest %s", wanted, found);
        return 0;
}

int layout_writer_add(struct layout_writer *w, const char *digest, const void *data, size_t len, struct failure *f) {
        g_autofree char *path = blob_path(digest);
        char found[DIGEST_TEXT_SIZE];
        int r;

        if (!g_hash_table_add(w->digests, g_strdup(digest)))
                return 0;
        r = digest_of(data, len, found);
        if (r < 0)
                return fail_errno(f, r, "hashing a blob");
        r = check_digest(digest, found, f);
        if (r >= 0)
                r = begin_member(w, path, len, f);
        return r < 0 ? r : append(w, data, len, f);
}

int layout_writer_begin(struct layout_writer *w, const char *digest, uint64_t size, struct failure *f) {
        g_autofree char *path = blob_path(digest);
        int r;

        if (!g_hash_table_add(w->digests, g_strdup(digest)))
                return 0;
        (void) g_strlcpy(w->wanted, digest, sizeof w->wanted);
        digest_clear(&w->sum);
        r = digest_init(&w->sum);
        if (r < 0)
                return fail_errno(f, r, "hashing a blob");
        r = begin_member(w, path, size, f);
        return r < 0 ? r : 1;
}

int layout_writer_append(struct layout_writer *w, const void *data, size_t len, struct failure *f) {
        int r;

        r = digest_update(&w->sum, data, len);
        return r < 0 ? fail_errno(f, r, "hashing a blob") : append(w, data, len, f);
}

int layout_writer_end(struct layout_writer *w, struct failure *f) {
        char found[DIGEST_TEXT_SIZE];

        if (digest_text(&w->sum, found) < 0)
                return fail_errno(f, -EIO, "hashing a blob");
        return check_digest(w->wanted, found, f);
}

int layout_writer_copy(
        struct layout_writer *w, const char *digest, int fd, uint64_t offset, uint64_t size, struct failure *f) {
        g_autofree char *buf = g_malloc(CHUNK);
        int r;

        r = layout_writer_begin(w, digest, size, f);
        if (r <= 0)
                return r;
        while (size > 0) {
                ssize_t n = pread(fd, buf, (size_t) MIN(size, CHUNK), (off_t) offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return fail_errno(f, n < 0 ? -errno : -ENODATA, "reading a blob");
                r = layout_writer_append(w, buf, (size_t) n, f);
                if (r < 0)
                        return r;
                offset += (uint64_t) n;
                size -= (uint64_t) n;
        }
        return layout_writer_end(w, f);
}

int layout_writer_finish(struct layout_writer *w, uint64_t *ret_size, struct failure *f) {
        struct stat st;

        if (archive_write_close(w->archive) != ARCHIVE_OK)
                return fail_archive(w, f);
        if (fstat(w->fd, &st) < 0)
                return fail_errno(f, -errno, "looking at the OCI archive");
        *ret_size = (uint64_t) st.st_size;
        return 0;
}

void layout_writer_free(struct layout_writer *w) {
        if (!w)
                return;
        if (w->archive)
                (void) archive_write_free(w->archive);
        digest_clear(&w->sum);
        g_hash_table_unref(w->digests);
        g_free(w);
}
