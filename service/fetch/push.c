/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* To a registry: one manifest of an OCI archive and its blobs, unchanged, so that the digest stays. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch/fetch.h"
#include "fetch/manifest.h"
#include "fetch/skopeo.h"
#include "shared/fd.h"
#include "worker/archive-index.h"
#include "worker/digest.h"

#define CHUNK (256U * 1024U)
#define VERSION "Directory Transport Version: 1.1\n"

struct push {
        struct job *job;
        struct skopeo skopeo;
        struct source source;
        struct archive_index *index;
        struct limits limits;
        manifest *manifest;
        char *image; /* what skopeo reads, as its "dir:" has it */
};

static int create_file(const struct push *p, const char *name, struct failure *f) {
        g_autofree char *path = g_build_filename(p->image, name, NULL);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        return fd < 0 ? fail_errno(f, -errno, "making a file for skopeo") : fd;
}

static int write_text(const struct push *p, const char *name, const char *text, size_t len, struct failure *f) {
        _cleanup_close_ int fd = create_file(p, name, f);
        int r;

        if (fd < 0)
                return fd;
        r = write_all(fd, text, len);
        return r < 0 ? fail_errno(f, r, "writing a file for skopeo") : 0;
}

static int copy_blob(const struct push *p, const struct extent *e, int fd, struct failure *f) {
        g_autofree char *buf = g_malloc(CHUNK);

        for (uint64_t at = 0; at < e->size;) {
                size_t n = (size_t) MIN(e->size - at, CHUNK);
                int r = source_read(&p->source, e->offset + at, buf, n);

                if (r >= 0)
                        r = write_all(fd, buf, n);
                if (r < 0)
                        return fail_errno(f, r, "taking a blob out of the archive");
                at += n;
        }
        return 0;
}

/* skopeo and the registry hash what they carry: a damaged blob does not arrive. */
static int unpack_blob(const struct push *p, const oci_descriptor *d, struct failure *f) {
        const char *hex = d->digest + strlen("sha256:");
        g_autofree char *member = g_strconcat("blobs/sha256/", hex, NULL),
                        *path = g_build_filename(p->image, hex, NULL);
        _cleanup_close_ int fd = -1;
        struct extent e;

        if (access(path, F_OK) == 0)
                return 0; /* two layers may be the same */
        if (!archive_index_find(p->index, member, &e))
                return failf(f, -ENOENT, FAILURE_UNSUPPORTED, "the archive lacks the blob %s", d->digest);
        if (e.size != d->size)
                return failf(f, -EBADMSG, FAILURE_DIGEST, "blob %s has %" PRIu64 " bytes, the manifest says %" PRIu64,
                        d->digest, e.size, d->size);
        fd = create_file(p, hex, f);
        return fd < 0 ? fd : copy_blob(p, &e, fd, f);
}

static int unpack(struct push *p, const char *digest, struct failure *f) {
        g_autofree char *member = g_strconcat("blobs/sha256/", digest + strlen("sha256:"), NULL), *text = NULL;
        char found[DIGEST_TEXT_SIZE];
        size_t len;
        int r;

        r = archive_index_read(p->index, member, FETCH_MANIFEST_MAX, &text, &len, f);
        if (r >= 0 && digest_of(text, len, found) < 0)
                r = fail_errno(f, -EIO, "hashing the manifest");
        if (r >= 0 && strcmp(found, digest) != 0)
                r = failf(f, -EBADMSG, FAILURE_DIGEST, "the manifest %s has the digest %s", digest, found);
        if (r >= 0)
                r = manifest_parse(text, len, &p->manifest, f);
        if (r >= 0 && mkdir(p->image, 0700) < 0)
                r = fail_errno(f, -errno, "making a directory for skopeo");
        if (r >= 0)
                r = write_text(p, "version", VERSION, strlen(VERSION), f);
        if (r >= 0)
                r = write_text(p, "manifest.json", text, len, f);
        for (guint i = 0; r >= 0 && i < p->manifest->blobs->len; i++) {
                r = unpack_blob(p, p->manifest->blobs->pdata[i], f);
                job_progress(p->job, 0, "prepare");
        }
        return r;
}

/* Bytes that skopeo has written so far, nearly all of them to the registry. */
static uint64_t written_by(pid_t pid) {
        g_autofree char *path = g_strdup_printf("/proc/%d/io", pid), *text = NULL;
        const char *line;

        if (!g_file_get_contents(path, &text, NULL, NULL))
                return 0;
        line = strstr(text, "wchar: ");
        return line ? g_ascii_strtoull(line + strlen("wchar: "), NULL, 10) : 0;
}

static int on_tick(pid_t pid, void *userdata, struct failure *f) {
        struct push *p = userdata;

        if (p->manifest->bytes > 0)
                job_progress(p->job, (double) written_by(pid) / (double) p->manifest->bytes, "push");
        return 0;
}

static int send_all(struct push *p, const char *destination, struct failure *f) {
        g_autofree char *source = g_strconcat("dir:", p->image, NULL),
                        *name = g_strconcat("docker://", destination, NULL);
        const char *const arguments[] = {"--preserve-digests", source, name, NULL};

        return skopeo_run(&p->skopeo, "copy", "dest-", arguments, NULL, 0, on_tick, p, f);
}

static int push(struct push *p, const char *digest, const char *destination, struct failure *f) {
        struct stat st;
        int r;

        if (fstat(p->source.fd, &st) < 0)
                return fail_errno(f, -errno, "looking at the archive");
        p->source.size = (uint64_t) st.st_size;
        r = limits_parse(NULL, &p->limits, f);
        if (r >= 0)
                r = archive_index_new(&p->source, &p->limits, &p->index, f);
        if (r >= 0)
                r = unpack(p, digest, f);
        return r < 0 ? r : send_all(p, destination, f);
}

int push_run(struct job *job, json_t **ret_done, struct failure *f) {
        const char *digest = job_string(job, "digest"), *destination = job_string(job, "destination");
        g_autofree char *home = NULL;
        struct push p = {.job = job,
                .skopeo = {.job = job,
                        .program = job_string(job, "skopeo"),
                        .registry = job_string(job, "registry"),
                        .insecure = json_is_true(json_object_get(job->launch, "insecure")),
                        .credentials = job_fd(job, "credentials")}};
        int r;

        p.source.fd = job_need_fd(job, "archive", f); /* the job's, so not cleared here */
        if (p.source.fd < 0)
                return p.source.fd;
        if (!digest || !digest_is_valid(digest) || !destination || !p.skopeo.program || !p.skopeo.registry)
                return failf(f, -EINVAL, FAILURE_SPEC, "the launch message lacks something");
        home = fetch_directory_new(f);
        if (!home)
                return -EIO;
        p.skopeo.home = home;
        p.image = g_build_filename(home, "image", NULL);
        r = push(&p, digest, destination, f);
        if (r >= 0)
                *ret_done = json_pack("{s:s}", "digest", digest);
        archive_index_free(p.index);
        manifest_free(p.manifest);
        g_free(p.image);
        fetch_directory_remove(home);
        return r;
}
