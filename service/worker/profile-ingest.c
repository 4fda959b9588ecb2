/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a tar to objects: each file is hashed while it is written to a descriptor of the daemon's, and at the end there
 * is a manifest. Nothing is unpacked to a name of the archive's. */
#include "worker/profile.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/fd.h"
#include "worker/digest.h"
#include "worker/entry-name.h"
#include "worker/profile-ingest.h"
#include "worker/source.h"

#define CHUNK (1U << 20)
#define OUTPUTS_ASKED 16U
#define LINKS_DEEP_MAX 16U

struct ingest {
        struct job *job;
        archive_reader *archive;
        struct limits limits;
        profile_manifest *manifest;
        GHashTable *hashes; /* objects that are written */
        GHashTable *files;  /* path -> hash, borrowed of the manifest */
        GHashTable *links;  /* path -> target path */
        int outputs[LAUNCH_FDS_MAX];
        size_t n_outputs, next_output;
        uint64_t expected; /* bytes; 0: not known */
        char *buffer;
};

/* ---- Outputs ---- */

static int need_output(struct ingest *in, struct failure *f) {
        json_t *answer = NULL;
        int r;

        if (in->next_output < in->n_outputs)
                return 0;
        in->n_outputs = in->next_output = 0;
        r = job_ask(in->job, json_pack("{s:s, s:i}", "type", "outputs", "n", OUTPUTS_ASKED), "outputs", &answer,
                in->outputs, &in->n_outputs);
        if (r < 0)
                return fail_errno(f, r, "asking for files to write");
        json_decref(answer);
        return in->n_outputs > 0 ? 0 : failf(f, -EBADMSG, FAILURE_OTHER, "the daemon gave no files to write");
}

static void close_outputs(struct ingest *in) {
        while (in->next_output < in->n_outputs)
                (void) close_fd(in->outputs[in->next_output++]);
}

/* The file that was written is an object now, or is written again where its bytes are known already. */
static int finish_output(struct ingest *in, const char *hash, bool executable, struct failure *f) {
        int fd = in->outputs[in->next_output];

        if (g_hash_table_contains(in->hashes, hash)) {
                if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                        return fail_errno(f, -errno, "writing an object");
                return 0;
        }
        if (fsync(fd) < 0)
                return fail_errno(f, -errno, "writing an object");
        (void) close_fd(fd);
        in->next_output++;
        (void) g_hash_table_add(in->hashes, g_strdup(hash));
        return job_tell(
                in->job, json_pack("{s:s, s:s, s:b}", "type", "object", "hash", hash, "executable", (int) executable));
}

/* ---- Entries ---- */

static int damaged(struct ingest *in, struct failure *f) {
        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the archive is damaged or no tar: %s",
                archive_error_string(in->archive));
}

static int write_content(struct ingest *in, char text[DIGEST_TEXT_SIZE], struct failure *f) {
        struct digest digest = {};
        int fd = in->outputs[in->next_output], r;

        r = digest_init(&digest);
        while (r >= 0) {
                la_ssize_t n = archive_read_data(in->archive, in->buffer, CHUNK); /* fills the holes of sparse files */

                if (n == 0)
                        break;
                if (n < 0) {
                        r = damaged(in, f);
                        break;
                }
                in->manifest->total_bytes += (uint64_t) n;
                if (in->manifest->total_bytes > in->limits.bytes)
                        r = failf(f, -E2BIG, FAILURE_LIMIT,
                                "the profile has more than %" PRIu64 " bytes, which is the limit", in->limits.bytes);
                if (r >= 0)
                        r = digest_update(&digest, in->buffer, (size_t) n);
                if (r >= 0)
                        r = write_all(fd, in->buffer, (size_t) n);
                job_progress(in->job,
                        in->expected > 0 ? (double) in->manifest->total_bytes / (double) in->expected : 0, "receive");
        }
        if (r >= 0)
                r = digest_text(&digest, text);
        digest_clear(&digest);
        return r < 0 ? fail_errno(f, r, "writing an object") : 0;
}

static int add_file(struct ingest *in, const char *path, bool executable, struct failure *f) {
        char text[DIGEST_TEXT_SIZE];
        const char *hash = text + strlen("sha256:");
        profile_entry *e;
        int r;

        r = need_output(in, f);
        if (r >= 0)
                r = write_content(in, text, f);
        if (r >= 0)
                r = finish_output(in, hash, executable, f);
        if (r < 0)
                return fail_errno(f, r, "telling of an object");
        profile_manifest_add(in->manifest, path, hash, executable);
        e = in->manifest->entries->pdata[in->manifest->entries->len - 1];
        (void) g_hash_table_insert(in->files, e->path, e);
        return 0;
}

/* Where a link leads, from the archive's top; a symbolic link's target counts from its own directory. */
static int add_link(struct ingest *in, const char *path, const char *target, bool symbolic, struct failure *f) {
        g_autofree char *directory = g_path_get_dirname(path);
        g_autofree char *joined = symbolic && *target != '/' ? g_build_filename("/", directory, target, NULL)
                                                             : g_build_filename("/", target, NULL);
        g_autofree char *plain = g_canonicalize_filename(joined, "/");

        (void) g_hash_table_insert(in->links, g_strdup(path), g_strdup(plain + 1));
        return 0;
}

static int add_entry(struct ingest *in, struct archive_entry *entry, struct failure *f) {
        const char *name = archive_entry_pathname(entry), *link = archive_entry_hardlink(entry);
        g_autofree char *path = NULL;
        int r;

        if (!name)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "an entry of the archive has no name that is UTF-8");
        r = entry_name_clean(name, &in->limits, "entry", &path, f);
        if (r < 0)
                return r;
        if (archive_entry_filetype(entry) == AE_IFDIR)
                return 0;
        if (!profile_path_is_valid(path))
                return failf(f, -EINVAL, FAILURE_UNSUPPORTED, "entry \"%.200s\" is not " PROFILE_PATH_ACCEPTED, name);
        if (in->manifest->entries->len + g_hash_table_size(in->links) >= PROFILE_OBJECTS_MAX)
                return failf(f, -E2BIG, FAILURE_LIMIT, "the archive has more than %u files, which is the limit",
                        PROFILE_OBJECTS_MAX);
        if (link)
                return add_link(in, path, link, false, f);
        if (archive_entry_filetype(entry) == AE_IFLNK && archive_entry_symlink(entry))
                return add_link(in, path, archive_entry_symlink(entry), true, f);
        if (archive_entry_filetype(entry) != AE_IFREG)
                return failf(f, -EINVAL, FAILURE_UNSUPPORTED, "entry \"%s\" is neither a file nor a directory or link",
                        path);
        return add_file(in, path, (archive_entry_perm(entry) & 0100) != 0 || profile_path_is_executable(path), f);
}

/* A link becomes a path of its own with the hash of what it leads to. */
static int settle_links(struct ingest *in, struct failure *f) {
        GHashTableIter iter;
        gpointer path, value;

        g_hash_table_iter_init(&iter, in->links);
        while (g_hash_table_iter_next(&iter, &path, &value)) {
                const char *target = value;
                const profile_entry *e = NULL;

                for (unsigned i = 0; target && i < LINKS_DEEP_MAX && !e; i++) {
                        e = g_hash_table_lookup(in->files, target);
                        target = e ? target : g_hash_table_lookup(in->links, target);
                }
                if (!e)
                        return failf(f, -EINVAL, FAILURE_UNSUPPORTED,
                                "entry \"%s\" is a link to \"%.200s\", which is no file of the archive", (char *) path,
                                (char *) value);
                profile_manifest_add(in->manifest, path, e->hash, e->executable);
        }
        return 0;
}

static int read_archive(struct ingest *in, struct failure *f) {
        int r;

        for (;;) {
                struct archive_entry *entry;

                r = archive_read_next_header(in->archive, &entry);
                if (r == ARCHIVE_EOF)
                        break;
                if (r < ARCHIVE_WARN)
                        return damaged(in, f);
                r = add_entry(in, entry, f);
                if (r < 0)
                        return r;
        }
        r = settle_links(in, f);
        return r < 0 ? r : profile_manifest_check(in->manifest, f);
}

int profile_ingest_archive(struct job *job, archive_reader *archive, const struct limits *limits, uint64_t expected,
        profile_manifest **ret, struct failure *f) {
        g_autoptr(GHashTable) hashes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autoptr(GHashTable) files = g_hash_table_new(g_str_hash, g_str_equal);
        g_autoptr(GHashTable) links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_autoptr(profile_manifest) manifest = profile_manifest_new(job_string(job, "profile") ?: "");
        g_autofree char *buffer = g_malloc(CHUNK);
        struct ingest in = {.job = job,
                .archive = archive,
                .limits = *limits,
                .manifest = manifest,
                .hashes = hashes,
                .files = files,
                .links = links,
                .expected = expected,
                .buffer = buffer};
        int r;

        in.limits.bytes = MIN(in.limits.bytes, PROFILE_BYTES_MAX);
        r = read_archive(&in, f);
        close_outputs(&in);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&manifest);
        return 0;
}

/* ---- The manifest ---- */

static void describe(struct job *job, profile_manifest *m) {
        const struct {
                const char *key;
                char **value;
        } texts[] = {{"qemu_version", &m->qemu_version}, {"build_host", &m->build_host},
                {"build_date", &m->build_date}, {"arch", &m->arch}};

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
                if (job_string(job, texts[i].key)) {
                        g_free(*texts[i].value);
                        *texts[i].value = g_strdup(job_string(job, texts[i].key));
                }
        m->created_at = now_realtime();
}

int profile_ingest_manifest(struct job *job, const profile_manifest *m, const char *text, size_t len, json_t **ret_done,
        struct failure *f) {
        char digest[DIGEST_TEXT_SIZE];
        int r;

        r = write_all(job_fd(job, "output"), text, len);
        if (r >= 0)
                r = digest_of(text, len, digest);
        if (r < 0)
                return fail_errno(f, r, "writing the manifest");
        *ret_done = profile_manifest_summary(m);
        if (*ret_done)
                (void) json_object_set_new(*ret_done, "digest", json_string(digest + strlen("sha256:")));
        return *ret_done ? 0 : -ENOMEM;
}

int profile_ingest_made(struct job *job, profile_manifest *m, json_t **ret_done, struct failure *f) {
        size_t len;
        char *text;
        int r;

        describe(job, m);
        text = profile_manifest_print(m);
        len = text ? strlen(text) : 0;
        if (!text || len > PROFILE_MANIFEST_MAX)
                r = fail_errno(f, text ? -E2BIG : -ENOMEM, "writing the manifest");
        else
                r = profile_ingest_manifest(job, m, text, len, ret_done, f);
        free(text);
        return r;
}

static int ingest_file(struct job *job, struct archive_input *in, const struct limits *limits, profile_manifest **ret,
        struct failure *f) {
        g_autoptr(archive_reader) archive = archive_util_tar_packed();

        if (!archive || archive_input_open(in, archive) != ARCHIVE_OK)
                return archive ? failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the archive is damaged or no tar: %s",
                                         archive_error_string(archive))
                               : -ENOMEM;
        return profile_ingest_archive(job, archive, limits, 0, ret, f);
}

int profile_ingest_run(struct job *job, json_t **ret_done, struct failure *f) {
        g_autoptr(profile_manifest) manifest = NULL;
        _cleanup_close_ int source = -1;
        struct archive_input in = {};
        struct limits limits;
        int r;

        r = job_need_fd(job, "output", f);
        if (r >= 0)
                r = limits_parse(json_object_get(job->launch, "limits"), &limits, f);
        if (r < 0)
                return r;
        source = source_open_stream(job, f);
        if (source < 0)
                return source;
        in.fd = source;
        r = archive_input_end(&in, ingest_file(job, &in, &limits, &manifest, f), "reading the archive", f);
        return r < 0 ? r : profile_ingest_made(job, manifest, ret_done, f);
}
