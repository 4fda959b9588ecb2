/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a manifest and its objects to an OCI archive. A blob's digest comes before its bytes there, so the layer is made
 * twice: once for its digest, once to be written; nothing is stored in between. */
#include "worker/profile.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"
#include "worker/layout-writer.h"
#include "worker/profile-artifact.h"
#include "worker/profile-manifest.h"

#define CHUNK (1U << 20)
#define BLOCK (256 * 1024)
#define OBJECTS_ASKED 16U
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

struct pack {
        struct job *job;
        char *text; /* of the manifest */
        size_t len;
        profile_manifest *manifest;
        GPtrArray *files;  /* profile_entry, borrowed: each object once, in the order of the layer */
        GHashTable *first; /* hash -> the path that has it in the layer, borrowed */
        char *buffer;
        struct digest sum;            /* of the layer, while it is made for the first time */
        uint64_t size;                /* likewise */
        uint64_t read, all;           /* bytes of objects, for the progress */
        struct layout_writer *writer; /* the second time */
        struct archive *tar;
        struct failure *failure;
        int error; /* of what took the layer's bytes */
};

/* ---- The layer ---- */

static la_ssize_t on_write(struct archive *a, void *user, const void *data, size_t len) {
        struct pack *p = user;
        int r;

        if (p->writer)
                r = layout_writer_append(p->writer, data, len, p->failure);
        else {
                r = digest_update(&p->sum, data, len);
                p->size += len;
        }
        if (r < 0) {
                p->error = r;
                archive_set_error(a, -r, "%s", g_strerror(-r));
                return -1;
        }
        return (la_ssize_t) len;
}

static int fail_tar(struct pack *p, struct failure *f) {
        int error = archive_errno(p->tar);

        return fail_errno(f, p->error < 0 ? p->error : error > 0 ? -error : -EIO, "writing the layer");
}

static int begin_entry(struct pack *p, const profile_entry *e, const char *link, uint64_t size, struct failure *f) {
        struct archive_entry *entry = archive_entry_new();
        int r;

        if (!entry)
                return fail_errno(f, -ENOMEM, "writing the layer");
        archive_entry_set_pathname(entry, e->path);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, e->executable ? 0755 : 0644);
        archive_entry_set_mtime(entry, 0, 0);
        archive_entry_set_size(entry, (la_int64_t) size);
        if (link)
                archive_entry_set_hardlink(entry, link);
        r = archive_write_header(p->tar, entry);
        archive_entry_free(entry);
        return r == ARCHIVE_OK ? 0 : fail_tar(p, f);
}

static int damaged(const profile_entry *e, const char *how, struct failure *f) {
        return failf(f, -EBADMSG, FAILURE_PROFILE, "object %s (%s) is damaged: %s", e->hash, e->path, how);
}

static int add_bytes(
        struct pack *p, const profile_entry *e, int fd, uint64_t size, struct digest *digest, struct failure *f) {
        for (uint64_t at = 0; at < size;) {
                ssize_t n = pread(fd, p->buffer, (size_t) MIN(size - at, CHUNK), (off_t) at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return fail_errno(f, -errno, "reading an object");
                if (n == 0)
                        return damaged(e, "it was cut while it was read", f);
                if (digest_update(digest, p->buffer, (size_t) n) < 0)
                        return fail_errno(f, -EIO, "hashing an object");
                if (archive_write_data(p->tar, p->buffer, (size_t) n) != n)
                        return fail_tar(p, f);
                at += (uint64_t) n;
                p->read += (uint64_t) n;
                job_progress(p->job, p->all > 0 ? MIN((double) p->read / (double) p->all / 2, 1) : 0, "pack");
        }
        return 0;
}

/* What is packed is what its name says, or nothing is. */
static int add_object(struct pack *p, const profile_entry *e, int fd, struct failure *f) {
        struct digest digest = {};
        char found[DIGEST_TEXT_SIZE];
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return damaged(e, "it is no file", f);
        if (p->read + (uint64_t) st.st_size > 2 * PROFILE_BYTES_MAX)
                return failf(f, -E2BIG, FAILURE_LIMIT, "the profile has more than %llu bytes, which is the limit",
                        PROFILE_BYTES_MAX);
        r = digest_init(&digest);
        if (r >= 0)
                r = begin_entry(p, e, NULL, (uint64_t) st.st_size, f);
        if (r >= 0)
                r = add_bytes(p, e, fd, (uint64_t) st.st_size, &digest, f);
        if (r >= 0 && digest_text(&digest, found) < 0)
                r = fail_errno(f, -EIO, "hashing an object");
        if (r >= 0 && strcmp(found + strlen("sha256:"), e->hash) != 0)
                r = damaged(e, "its bytes have another hash", f);
        digest_clear(&digest);
        return r;
}

static int add_batch(struct pack *p, guint first, struct failure *f) {
        guint end = MIN(first + OBJECTS_ASKED, p->files->len);
        json_t *list = json_array(), *answer = NULL;
        int fds[LAUNCH_FDS_MAX], r;
        size_t n = 0;

        for (guint i = first; i < end; i++) {
                const profile_entry *e = p->files->pdata[i];

                (void) json_array_append_new(list, json_pack("{s:s, s:s}", "path", e->path, "hash", e->hash));
        }
        r = job_ask(p->job, json_pack("{s:s, s:o}", "type", "objects", "list", list), "objects", &answer, fds, &n);
        if (r < 0)
                return fail_errno(f, r, "asking for objects");
        json_decref(answer);
        if (n != end - first)
                r = failf(f, -EBADMSG, FAILURE_OTHER, "the daemon's answer is none");
        for (guint i = first; i < end && r >= 0; i++)
                r = add_object(p, p->files->pdata[i], fds[i - first], f);
        for (size_t i = 0; i < n; i++)
                (void) close_fd(fds[i]);
        return r;
}

/* Paths that share their bytes with one before are links to it. */
static int add_links(struct pack *p, struct failure *f) {
        int r = 0;

        for (guint i = 0; i < p->manifest->entries->len && r >= 0; i++) {
                const profile_entry *e = p->manifest->entries->pdata[i];
                const char *path = g_hash_table_lookup(p->first, e->hash);

                if (strcmp(path, e->path) != 0)
                        r = begin_entry(p, e, path, 0, f);
        }
        return r;
}

static int add_all(struct pack *p, struct failure *f) {
        int r = 0;

        for (guint first = 0; first < p->files->len && r >= 0; first += OBJECTS_ASKED)
                r = add_batch(p, first, f);
        return r < 0 ? r : add_links(p, f);
}

static int make_layer(struct pack *p, struct failure *f) {
        int r = 0;

        p->failure = f;
        p->tar = archive_write_new();
        if (!p->tar || archive_write_set_format_pax_restricted(p->tar) != ARCHIVE_OK ||
                archive_write_set_bytes_per_block(p->tar, BLOCK) != ARCHIVE_OK ||
                archive_write_set_bytes_in_last_block(p->tar, 1) != ARCHIVE_OK ||
                archive_write_open(p->tar, p, NULL, on_write, NULL) != ARCHIVE_OK)
                r = fail_errno(f, -EIO, "beginning the layer");
        if (r >= 0)
                r = add_all(p, f);
        if (r >= 0 && archive_write_close(p->tar) != ARCHIVE_OK)
                r = fail_tar(p, f);
        (void) archive_write_free(p->tar);
        p->tar = NULL;
        return r;
}

/* ---- The archive ---- */

static int load(struct pack *p, int fd, struct failure *f) {
        char *text = NULL;
        int r;

        r = read_file(fd, PROFILE_MANIFEST_MAX, &text, &p->len);
        if (r < 0)
                return fail_errno(f, r, "reading the manifest");
        p->text = g_memdup2(text, p->len);
        free(text);
        r = profile_manifest_parse(p->text, p->len, &p->manifest, f);
        if (r < 0)
                return r;
        p->all = p->manifest->total_bytes;
        for (guint i = 0; i < p->manifest->entries->len; i++) {
                profile_entry *e = p->manifest->entries->pdata[i];

                if (g_hash_table_contains(p->first, e->hash))
                        continue;
                (void) g_hash_table_insert(p->first, e->hash, e->path);
                g_ptr_array_add(p->files, e);
        }
        return 0;
}

static int measure(struct pack *p, struct profile_artifact *a, struct failure *f) {
        int r;

        a->described = true;
        a->config.size = p->len;
        r = digest_of(p->text, p->len, a->config.digest);
        if (r >= 0)
                r = digest_init(&p->sum);
        if (r < 0)
                return fail_errno(f, r, "hashing the manifest");
        r = make_layer(p, f);
        if (r < 0)
                return r;
        a->layer.size = p->size;
        return digest_text(&p->sum, a->layer.digest) < 0 ? fail_errno(f, -EIO, "hashing the layer") : 0;
}

static int write_blobs(
        struct pack *p, const struct profile_artifact *a, const char *digest, const char *manifest, struct failure *f) {
        uint64_t size;
        int r;

        r = layout_writer_add(p->writer, digest, manifest, strlen(manifest), f);
        if (r >= 0)
                r = layout_writer_add(p->writer, a->config.digest, p->text, p->len, f);
        if (r >= 0)
                r = layout_writer_begin(p->writer, a->layer.digest, a->layer.size, f);
        if (r >= 0)
                r = make_layer(p, f);
        if (r >= 0)
                r = layout_writer_end(p->writer, f);
        return r < 0 ? r : layout_writer_finish(p->writer, &size, f);
}

static int pack(struct pack *p, int archive, json_t **ret_done, struct failure *f) {
        struct profile_artifact a = {};
        char digest[DIGEST_TEXT_SIZE];
        char *manifest;
        int r;

        r = measure(p, &a, f);
        if (r < 0)
                return r;
        manifest = profile_artifact_print(&a, p->manifest->profile, p->manifest->qemu_version);
        if (!manifest || digest_of(manifest, strlen(manifest), digest) < 0)
                r = fail_errno(f, -ENOMEM, "making the artifact's manifest");
        else
                r = layout_writer_new(archive, MANIFEST_TYPE, digest, strlen(manifest), &p->writer, f);
        if (r >= 0)
                r = write_blobs(p, &a, digest, manifest, f);
        layout_writer_free(p->writer);
        free(manifest);
        if (r >= 0)
                *ret_done = json_pack("{s:s, s:s}", "digest", digest, "profile", p->manifest->profile);
        return r;
}

int profile_pack_run(struct job *job, json_t **ret_done, struct failure *f) {
        g_autoptr(GPtrArray) files = g_ptr_array_new();
        g_autoptr(GHashTable) first = g_hash_table_new(g_str_hash, g_str_equal);
        g_autofree char *buffer = g_malloc(CHUNK);
        struct pack p = {.job = job, .files = files, .first = first, .buffer = buffer};
        int archive, manifest, r;

        manifest = job_need_fd(job, "manifest", f);
        archive = manifest < 0 ? manifest : job_need_fd(job, "archive", f);
        if (archive < 0)
                return archive;
        r = load(&p, manifest, f);
        if (r >= 0)
                r = pack(&p, archive, ret_done, f);
        digest_clear(&p.sum);
        profile_manifest_free(p.manifest);
        g_free(p.text);
        return r;
}
