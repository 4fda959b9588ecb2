/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a registry: the reference is resolved to a digest, the daemon says whether the blobs are wanted, then they come.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch/fetch.h"
#include "fetch/manifest.h"
#include "fetch/skopeo.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/wire.h"
#include "worker/digest.h"
#include "worker/elf-check.h"
#include "worker/layout-writer.h"

#define SLACK (1U << 20) /* of what skopeo writes beside the blobs */

/* An index or a manifest, as the registry sent it. */
struct document {
        char digest[DIGEST_TEXT_SIZE];
        char *media_type;
        GString *text;
};

struct pull {
        struct job *job;
        struct skopeo skopeo;
        const char *repository, *architecture, *home;
        struct document documents[LIMIT_INDEX_DEPTH + 1]; /* what the reference names first, the manifest last */
        size_t n_documents;
        manifest *manifest;
        char *image; /* where skopeo puts the blobs */
        uint64_t bytes_max;
};

static const struct document *last(const struct pull *p) {
        return &p->documents[p->n_documents - 1];
}

static void pull_clear(struct pull *p) {
        for (size_t i = 0; i < p->n_documents; i++) {
                g_free(p->documents[i].media_type);
                (void) g_string_free(p->documents[i].text, TRUE);
        }
        manifest_free(p->manifest);
        g_free(p->image);
}

/* One document of the repository; digest NULL where a tag names it. */
static int get_document(struct pull *p, const char *name, const char *digest, struct failure *f) {
        g_autofree char *source = g_strconcat("docker://", p->repository, name, NULL);
        const char *const arguments[] = {"--raw", source, NULL};
        struct document *d = &p->documents[p->n_documents];
        int r;

        if (p->n_documents == G_N_ELEMENTS(p->documents))
                return failf(f, -E2BIG, FAILURE_LIMIT, "indexes are nested deeper than %u", LIMIT_INDEX_DEPTH);
        *d = (struct document){.text = g_string_new(NULL)};
        p->n_documents++;
        r = skopeo_run(&p->skopeo, "inspect", "", arguments, d->text, FETCH_MANIFEST_MAX, NULL, NULL, f);
        if (r < 0)
                return r;
        r = digest_of(d->text->str, d->text->len, d->digest);
        if (r < 0)
                return fail_errno(f, r, "hashing the manifest");
        if (digest && strcmp(digest, d->digest) != 0)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "registry %s sends a manifest with the digest %s, not %s",
                        p->skopeo.registry, d->digest, digest);
        d->media_type = manifest_media_type(d->text->str, d->text->len);
        return 0;
}

/* Through indexes to the manifest of this architecture. */
static int resolve(struct pull *p, struct failure *f) {
        const char *tag = job_string(p->job, "tag"), *digest = job_string(p->job, "digest");
        g_autofree char *name = digest ? g_strconcat("@", digest, NULL) : g_strconcat(":", tag, NULL);
        int r;

        r = get_document(p, name, digest, f);
        while (r >= 0) {
                g_autoptr(oci_document) index = NULL;
                const oci_descriptor *chosen;
                const struct document *d = last(p);

                if (media_kind(d->media_type) != MEDIA_INDEX)
                        break;
                r = oci_document_parse(d->text->str, d->text->len, FETCH_LAYERS_MAX, &index, f);
                if (r >= 0 && !index->is_index)
                        r = failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "what calls itself an index is none");
                if (r >= 0)
                        r = oci_document_choose(index, architecture_oci(p->architecture), &chosen, f);
                if (r < 0)
                        return r;
                g_free(name);
                name = g_strconcat("@", chosen->digest, NULL);
                r = get_document(p, name, chosen->digest, f);
        }
        return r < 0 ? r : manifest_parse(last(p)->text->str, last(p)->text->len, &p->manifest, f);
}

/* The daemon knows whether it has that manifest already, and how many bytes its owner may still have. */
static int ask_daemon(struct pull *p, struct failure *f) {
        int fds[LAUNCH_FDS_MAX], r;
        json_t *answer = NULL;
        size_t n_fds = 0;
        bool go;

        r = wire_send_new(
                p->job->sock, json_pack("{s:s, s:s, s:s, s:I, s:s*}", "type", "resolved", "digest",
                                      p->documents[0].digest, "manifest", last(p)->digest, "size",
                                      (json_int_t) p->manifest->bytes, "artifact", p->manifest->artifact_type));
        if (r >= 0)
                r = wire_recv(p->job->sock, &answer, fds, &n_fds);
        if (r <= 0)
                return failf(f, -ECONNRESET, FAILURE_OTHER, "the daemon has gone");
        while (n_fds > 0)
                (void) close_fd(fds[--n_fds]);
        go = strcmp(wire_type(answer), "go") == 0;
        p->bytes_max = (uint64_t) json_integer_value(json_object_get(answer, "bytes"));
        json_decref(answer);
        if (!go)
                return failf(f, -ECANCELED, FAILURE_OTHER, "the daemon does not want it");
        if (p->manifest->bytes > p->bytes_max)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "the image has %" PRIu64 " bytes to fetch, the limit is %" PRIu64
                        " (PullBytesMax= and ImageBytesPerUser= in runtime.conf)",
                        p->manifest->bytes, p->bytes_max);
        return 0;
}

static int on_tick(pid_t pid, void *userdata, struct failure *f) {
        struct pull *p = userdata;
        uint64_t bytes = fetch_directory_bytes(p->image);

        if (bytes > p->manifest->bytes + SLACK)
                return failf(
                        f, -E2BIG, FAILURE_LIMIT, "registry %s sends more than the manifest says", p->skopeo.registry);
        job_progress(p->job, p->manifest->bytes > 0 ? (double) bytes / (double) p->manifest->bytes : 0, "fetch");
        return 0;
}

static int fetch(struct pull *p, struct failure *f) {
        g_autofree char *source = g_strconcat("docker://", p->repository, "@", last(p)->digest, NULL);
        g_autofree char *destination = g_strconcat("dir:", p->image, NULL);
        const char *const arguments[] = {"--preserve-digests", source, destination, NULL};

        p->skopeo.file_max = p->manifest->largest + SLACK;
        return skopeo_run(&p->skopeo, "copy", "src-", arguments, NULL, 0, on_tick, p, f);
}

static int add_blob(struct pull *p, struct layout_writer *w, const oci_descriptor *d, struct failure *f) {
        g_autofree char *path = g_build_filename(p->image, d->digest + strlen("sha256:"), NULL);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return fail_errno(f, -errno, "opening a blob");
        if (!S_ISREG(st.st_mode) || (uint64_t) st.st_size != d->size)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "blob %s has %" PRIu64 " bytes, the manifest says %" PRIu64,
                        d->digest, (uint64_t) st.st_size, d->size);
        r = layout_writer_copy(w, d->digest, fd, 0, d->size, f);
        (void) unlink(path); /* it is in the archive now */
        return r;
}

/* Whether the blob came before: two layers may be the same. */
static bool is_repeated(const manifest *m, guint i) {
        const oci_descriptor *d = m->blobs->pdata[i];

        while (i > 0)
                if (strcmp(((const oci_descriptor *) m->blobs->pdata[--i])->digest, d->digest) == 0)
                        return true;
        return false;
}

static int write_archive(struct pull *p, int fd, uint64_t *ret_size, struct failure *f) {
        const struct document *first = &p->documents[0];
        struct layout_writer *w;
        int r;

        r = layout_writer_new(fd, first->media_type, first->digest, first->text->len, &w, f);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_documents && r >= 0; i++)
                r = layout_writer_add(
                        w, p->documents[i].digest, p->documents[i].text->str, p->documents[i].text->len, f);
        for (guint i = 0; i < p->manifest->blobs->len && r >= 0; i++)
                if (!is_repeated(p->manifest, i))
                        r = add_blob(p, w, p->manifest->blobs->pdata[i], f);
        if (r >= 0)
                r = layout_writer_finish(w, ret_size, f);
        layout_writer_free(w);
        return r;
}

static int pull(struct pull *p, int archive, json_t **ret_done, struct failure *f) {
        uint64_t size = 0;
        int r;

        job_progress(p->job, 0, "resolve");
        r = resolve(p, f);
        if (r >= 0)
                r = ask_daemon(p, f);
        if (r >= 0) {
                CRASH_POINT(FETCH_RESOLVED);
                r = fetch(p, f);
        }
        if (r >= 0) {
                CRASH_POINT(FETCH_FETCHED);
                r = write_archive(p, archive, &size, f);
        }
        if (r < 0)
                return r;
        *ret_done = json_pack("{s:s, s:s, s:I, s:s*}", "digest", p->documents[0].digest, "manifest", last(p)->digest,
                "size", (json_int_t) size, "artifact", p->manifest->artifact_type);
        return *ret_done ? 0 : -ENOMEM;
}

int pull_run(struct job *job, json_t **ret_done, struct failure *f) {
        g_autofree char *home = NULL;
        struct pull p = {.job = job,
                .repository = job_string(job, "repository"),
                .architecture = job_string(job, "architecture"),
                .skopeo = {.job = job,
                        .program = job_string(job, "skopeo"),
                        .registry = job_string(job, "registry"),
                        .insecure = json_is_true(json_object_get(job->launch, "insecure")),
                        .credentials = job_fd(job, "credentials")}};
        int archive, r;

        archive = job_need_fd(job, "archive", f);
        if (archive < 0)
                return archive;
        if (!p.repository || !p.skopeo.program || !p.skopeo.registry || !p.architecture ||
                !architecture_oci(p.architecture) || (!job_string(job, "tag") && !job_string(job, "digest")))
                return failf(f, -EINVAL, FAILURE_SPEC, "the launch message lacks something");
        home = fetch_directory_new(f);
        if (!home)
                return -EIO;
        p.home = p.skopeo.home = home;
        p.image = g_build_filename(home, "image", NULL);
        r = pull(&p, archive, ret_done, f);
        pull_clear(&p);
        fetch_directory_remove(home);
        return r;
}
