/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk of a Nanos guest to and from a registry: compressed as it is read, its holes where nothing but zeros came. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"
#include "worker/archive-util.h"
#include "worker/artifact-archive.h"
#include "worker/blob-stream.h"
#include "worker/nanos.h"

#define CHUNK (1U << 20)
#define HOLE 4096U /* zeros of that size, at such a place, are not written */

/* ---- Out ---- */

struct pack {
        struct job *job;
        int disk;
        uint64_t size, read;
        char *buffer;
};

static int format_zstd(struct archive *a) {
        int r = archive_write_set_format_raw(a);

        return r == ARCHIVE_OK ? archive_write_add_filter_zstd(a) : r;
}

static int fill_disk(struct archive *a, void *userdata, struct failure *f) {
        struct archive_entry *entry = archive_entry_new();
        struct pack *p = userdata;
        int r;

        archive_entry_set_pathname(entry, "disk");
        archive_entry_set_filetype(entry, AE_IFREG);
        r = archive_write_header(a, entry);
        archive_entry_free(entry);
        for (uint64_t at = 0; at < p->size && r == ARCHIVE_OK;) {
                ssize_t n = pread(p->disk, p->buffer, (size_t) MIN(p->size - at, CHUNK), (off_t) at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return fail_errno(f, n < 0 ? -errno : -ENODATA, "reading the disk");
                if (archive_write_data(a, p->buffer, (size_t) n) != n)
                        return artifact_layer_failed(a, f);
                at += (uint64_t) n;
                p->read += (uint64_t) n;
                job_progress(p->job, (double) p->read / (double) p->size / 2, "pack");
        }
        return r == ARCHIVE_OK ? 0 : artifact_layer_failed(a, f);
}

int nanos_pack_run(struct job *job, json_t **ret_done, struct failure *f) {
        const char *image = job_string(job, "image"), *key = job_string(job, "key");
        g_autofree char *buffer = g_malloc(CHUNK);
        struct pack p = {.job = job, .disk = job_need_fd(job, "disk", f), .buffer = buffer};
        struct artifact_layer layer = {.format = format_zstd, .fill = fill_disk, .userdata = &p};
        int archive = p.disk < 0 ? p.disk : job_need_fd(job, "archive", f), r;
        char digest[DIGEST_TEXT_SIZE];
        struct stat st;
        json_t *config;
        char *text;

        if (archive < 0)
                return archive;
        if (!image || !key)
                return failf(f, -EINVAL, FAILURE_SPEC, "the launch message lacks something");
        if (fstat(p.disk, &st) < 0)
                return fail_errno(f, -errno, "looking at the disk");
        p.size = (uint64_t) st.st_size;
        config = json_pack("{s:s, s:s}", "image", image, "key", key);
        text = config ? json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        json_decref(config);
        r = text ? artifact_archive_write(archive, &artifact_nanos, text, strlen(text), job_string(job, "title") ?: "",
                           "", &layer, digest, f)
                 : fail_errno(f, -ENOMEM, "making the configuration");
        free(text);
        if (r >= 0)
                *ret_done = json_pack("{s:s}", "digest", digest);
        return r;
}

/* ---- In ---- */

struct unpack {
        struct job *job;
        struct limits limits;
        int output;
        uint64_t size;
};

static int bad_config(struct failure *f) {
        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED,
                "the artifact's configuration is not {\"image\": a digest, \"key\": 64 hexadecimal digits}");
}

/* Whose disk it is, and what is in it: the daemon compares. */
static int read_config(const struct artifact_archive *a, json_t **ret, struct failure *f) {
        json_t *config = json_loadb(a->config, a->config_len, JSON_REJECT_DUPLICATES, NULL);
        const char *image = json_string_value(json_object_get(config, "image")),
                   *key = json_string_value(json_object_get(config, "key"));
        g_autofree char *digest = g_strconcat("sha256:", key, NULL);
        int r = image && key && digest_is_valid(image) && digest_is_valid(digest) ? 0 : bad_config(f);

        if (r >= 0)
                *ret = json_pack("{s:s, s:s}", "image", image, "key", key);
        json_decref(config);
        return r;
}

static bool is_zero(const char *data, size_t len) {
        return *data == 0 && memcmp(data, data + 1, len - 1) == 0;
}

static int write_block(struct unpack *u, const char *data, size_t len, struct failure *f) {
        if (len > u->limits.bytes - u->size)
                return failf(f, -E2BIG, FAILURE_LIMIT, "the disk has more than %" PRIu64 " bytes, which is the limit",
                        u->limits.bytes);
        while (len > 0) {
                size_t n = MIN(len, HOLE - (size_t) (u->size % HOLE));

                ssize_t w = is_zero(data, n) ? (ssize_t) n : pwrite(u->output, data, n, (off_t) u->size);

                if (w != (ssize_t) n)
                        return fail_errno(f, w < 0 ? -errno : -ENOSPC, "writing the disk");
                u->size += n;
                data += n;
                len -= n;
        }
        return 0;
}

static int copy_disk(
        struct unpack *u, struct archive *a, uint64_t packed, struct blob_stream *stream, struct failure *f) {
        struct archive_entry *entry;
        int r = archive_read_next_header(a, &entry);

        while (r >= ARCHIVE_WARN && r != ARCHIVE_EOF) {
                const void *block;
                la_int64_t offset;
                size_t len = 0;

                r = archive_read_data_block(a, &block, &len, &offset);
                if (r >= ARCHIVE_WARN && r != ARCHIVE_EOF) {
                        int w = write_block(u, block, len, f);

                        if (w < 0)
                                return w;
                }
                job_progress(u->job, packed > 0 ? 1 - (double) stream->left.size / (double) packed : 0, "unpack");
        }
        if (r != ARCHIVE_EOF)
                return failf(
                        f, -EBADMSG, FAILURE_UNSUPPORTED, "the disk is damaged: %s", archive_error_string(a) ?: "");
        if (u->size == 0)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the disk is empty");
        return ftruncate(u->output, (off_t) u->size) < 0 ? fail_errno(f, -errno, "writing the disk") : 0;
}

static int unpack(struct unpack *u, struct artifact_archive *a, struct failure *f) {
        archive_reader *reader = archive_util_layer();
        struct blob_stream stream = {};
        int r;

        r = blob_stream_init(&stream, &a->source, a->layer, NULL);
        if (r >= 0 && (!reader || blob_stream_open(&stream, reader) != ARCHIVE_OK))
                r = failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the disk is damaged: %s",
                        reader ? archive_error_string(reader) : "no memory");
        if (r >= 0)
                r = copy_disk(u, reader, a->layer.size, &stream, f);
        r = archive_read_end(stream.error, r, "reading the artifact", f);
        if (r >= 0)
                r = blob_stream_verify(&stream, a->artifact.layer.digest, f);
        archive_reader_free(reader);
        blob_stream_clear(&stream);
        return r;
}

int nanos_unpack_run(struct job *job, json_t **ret_done, struct failure *f) {
        struct unpack u = {.job = job, .output = job_need_fd(job, "output", f)};
        struct artifact_archive a;
        json_t *done = NULL;
        int r;

        if (u.output < 0)
                return u.output;
        r = limits_parse(json_object_get(job->launch, "limits"), &u.limits, f);
        if (r < 0)
                return r;
        r = artifact_archive_open(job, &artifact_nanos, &u.limits, &a, f);
        if (r >= 0)
                r = read_config(&a, &done, f);
        if (r >= 0)
                r = unpack(&u, &a, f);
        artifact_archive_clear(&a);
        if (r < 0)
                json_decref(done);
        else
                *ret_done = done;
        return r;
}
