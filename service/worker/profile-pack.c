/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a manifest and its objects to an artifact, whose layer is made twice, see artifact-archive.h. */
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
#include "worker/artifact-archive.h"
#include "worker/profile-manifest.h"

#define CHUNK (1U << 20)
#define OBJECTS_ASKED 16U

struct pack {
        struct job *job;
        char *text; /* of the manifest */
        size_t len;
        profile_manifest *manifest;
        GPtrArray *files;  /* profile_entry, borrowed: each object once, in the order of the layer */
        GHashTable *first; /* hash -> the path that has it in the layer, borrowed */
        char *buffer;
        uint64_t read, all; /* bytes of objects, for the progress */
};

/* ---- The layer ---- */

static int begin_entry(struct archive *a, const profile_entry *e, const char *link, uint64_t size, struct failure *f) {
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
        r = archive_write_header(a, entry);
        archive_entry_free(entry);
        return r == ARCHIVE_OK ? 0 : artifact_layer_failed(a, f);
}

static int damaged(const profile_entry *e, const char *how, struct failure *f) {
        return failf(f, -EBADMSG, FAILURE_PROFILE, "object %s (%s) is damaged: %s", e->hash, e->path, how);
}

static int add_bytes(struct pack *p, struct archive *a, const profile_entry *e, int fd, uint64_t size,
        struct digest *digest, struct failure *f) {
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
                if (archive_write_data(a, p->buffer, (size_t) n) != n)
                        return artifact_layer_failed(a, f);
                at += (uint64_t) n;
                p->read += (uint64_t) n;
                job_progress(p->job, p->all > 0 ? MIN((double) p->read / (double) p->all / 2, 1) : 0, "pack");
        }
        return 0;
}

/* What is packed is what its name says, or nothing is. */
static int add_object(struct pack *p, struct archive *a, const profile_entry *e, int fd, struct failure *f) {
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
                r = begin_entry(a, e, NULL, (uint64_t) st.st_size, f);
        if (r >= 0)
                r = add_bytes(p, a, e, fd, (uint64_t) st.st_size, &digest, f);
        if (r >= 0 && digest_text(&digest, found) < 0)
                r = fail_errno(f, -EIO, "hashing an object");
        if (r >= 0 && strcmp(found + strlen("sha256:"), e->hash) != 0)
                r = damaged(e, "its bytes have another hash", f);
        digest_clear(&digest);
        return r;
}

static int add_batch(struct pack *p, struct archive *a, guint first, struct failure *f) {
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
                r = add_object(p, a, p->files->pdata[i], fds[i - first], f);
        for (size_t i = 0; i < n; i++)
                (void) close_fd(fds[i]);
        return r;
}

/* Paths that share their bytes with one before are links to it. */
static int add_links(struct pack *p, struct archive *a, struct failure *f) {
        int r = 0;

        for (guint i = 0; i < p->manifest->entries->len && r >= 0; i++) {
                const profile_entry *e = p->manifest->entries->pdata[i];
                const char *path = g_hash_table_lookup(p->first, e->hash);

                if (strcmp(path, e->path) != 0)
                        r = begin_entry(a, e, path, 0, f);
        }
        return r;
}

static int add_all(struct archive *a, void *userdata, struct failure *f) {
        struct pack *p = userdata;
        int r = 0;

        for (guint first = 0; first < p->files->len && r >= 0; first += OBJECTS_ASKED)
                r = add_batch(p, a, first, f);
        return r < 0 ? r : add_links(p, a, f);
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

static int format_tar(struct archive *a) {
        return archive_write_set_format_pax_restricted(a);
}

static int pack(struct pack *p, int archive, json_t **ret_done, struct failure *f) {
        struct artifact_layer layer = {.format = format_tar, .fill = add_all, .userdata = p};
        char digest[DIGEST_TEXT_SIZE];
        int r;

        r = artifact_archive_write(archive, &artifact_profile, p->text, p->len, p->manifest->profile,
                p->manifest->qemu_version, &layer, digest, f);
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
        profile_manifest_free(p.manifest);
        g_free(p.text);
        return r;
}
