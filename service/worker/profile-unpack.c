/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From an artifact to objects: the layer is read as a tar that was handed in is, and the manifest that came along is
 * kept as it is where it says of the files what they were found to be. */
#include "worker/profile.h"

#include <archive.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "worker/blob-stream.h"
#include "worker/profile-artifact.h"
#include "worker/profile-ingest.h"

struct unpack {
        struct job *job;
        struct limits limits;
        struct source source;
        struct archive_index *index;
        struct profile_artifact artifact;
        char *text; /* of the profile's manifest */
        size_t len;
        profile_manifest *said, *found;
};

static char *member_of(const char *digest) {
        return g_strconcat("blobs/sha256/", digest + strlen("sha256:"), NULL);
}

/* A JSON blob: read, then verified, then used. */
static int read_blob(
        struct unpack *u, const char *digest, uint64_t max, char **ret, size_t *ret_len, struct failure *f) {
        g_autofree char *member = member_of(digest), *text = NULL;
        char found[DIGEST_TEXT_SIZE];
        size_t len;
        int r;

        r = archive_index_read(u->index, member, max, &text, &len, f);
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

/* The artifact's own manifest, and that of the profile where there is one. */
static int read_manifests(struct unpack *u, const char *digest, struct failure *f) {
        const char *profile = job_string(u->job, "profile");
        g_autofree char *text = NULL;
        size_t len;
        int r;

        r = read_blob(u, digest, u->limits.manifest, &text, &len, f);
        if (r >= 0)
                r = profile_artifact_parse(text, len, &u->artifact, f);
        if (r < 0 || !u->artifact.described)
                return r;
        r = read_blob(u, u->artifact.config.digest, PROFILE_MANIFEST_MAX, &u->text, &u->len, f);
        if (r >= 0)
                r = profile_manifest_parse(u->text, u->len, &u->said, f);
        if (r >= 0 && g_strcmp0(u->said->profile, profile) != 0)
                return failf(f, -EBADMSG, FAILURE_PROFILE, "the artifact is of profile \"%s\", not \"%s\"",
                        u->said->profile, profile);
        return r;
}

static int read_layer(struct unpack *u, struct failure *f) {
        g_autofree char *member = member_of(u->artifact.layer.digest);
        archive_reader *archive = archive_util_tar_packed();
        struct blob_stream stream = {};
        struct extent e;
        int r;

        if (!archive_index_find(u->index, member, &e))
                r = failf(f, -ENOENT, FAILURE_UNSUPPORTED, "the archive lacks the blob %s", u->artifact.layer.digest);
        else if (e.size != u->artifact.layer.size)
                r = failf(f, -EBADMSG, FAILURE_DIGEST, "blob %s has %" PRIu64 " bytes, the manifest says %" PRIu64,
                        u->artifact.layer.digest, e.size, u->artifact.layer.size);
        else
                r = blob_stream_init(&stream, &u->source, e, NULL);
        if (r >= 0 && (!archive || blob_stream_open(&stream, archive) != ARCHIVE_OK))
                r = failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the layer is damaged or no tar: %s",
                        archive ? archive_error_string(archive) : "no memory");
        if (r >= 0)
                r = profile_ingest_archive(u->job, archive, &u->limits, e.size, &u->found, f);
        if (r >= 0)
                r = blob_stream_verify(&stream, u->artifact.layer.digest, f);
        archive_reader_free(archive);
        blob_stream_clear(&stream);
        return r;
}

static int differs(struct failure *f, const char *path, const char *how) {
        return failf(f, -EBADMSG, FAILURE_PROFILE, "the artifact's layer %s \"%s\"", how, path);
}

/* Both are sorted, and neither has a path twice. */
static int compare(const profile_manifest *said, const profile_manifest *found, struct failure *f) {
        for (guint i = 0; i < MAX(said->entries->len, found->entries->len); i++) {
                const profile_entry *a = i < said->entries->len ? said->entries->pdata[i] : NULL,
                                    *b = i < found->entries->len ? found->entries->pdata[i] : NULL;

                if (!a)
                        return differs(f, b->path, "has a file that the profile's manifest does not name:");
                if (!b || strcmp(a->path, b->path) != 0)
                        return differs(f, a->path, "and the profile's manifest have other files, the first is");
                if (strcmp(a->hash, b->hash) != 0)
                        return differs(f, a->path, "has other bytes than the profile's manifest says for");
        }
        return 0;
}

static int unpack(struct unpack *u, json_t **ret_done, struct failure *f) {
        const char *digest = job_string(u->job, "digest");
        int r;

        if (!digest || !digest_is_valid(digest))
                return failf(f, -EINVAL, FAILURE_SPEC, "the launch message lacks the digest");
        r = source_open(u->job, &u->limits, &u->source, f);
        if (r >= 0)
                r = archive_index_new(&u->source, &u->limits, &u->index, f);
        if (r >= 0)
                r = read_manifests(u, digest, f);
        if (r >= 0)
                r = read_layer(u, f);
        if (r < 0)
                return r;
        if (!u->said)
                return profile_ingest_made(u->job, u->found, ret_done, f);
        r = compare(u->said, u->found, f);
        return r < 0 ? r : profile_ingest_manifest(u->job, u->said, u->text, u->len, ret_done, f);
}

int profile_unpack_run(struct job *job, json_t **ret_done, struct failure *f) {
        struct unpack u = {.job = job, .source = {.fd = -1}};
        int r;

        r = job_need_fd(job, "output", f);
        if (r >= 0)
                r = limits_parse(json_object_get(job->launch, "limits"), &u.limits, f);
        if (r < 0)
                return r;
        r = unpack(&u, ret_done, f);
        archive_index_free(u.index);
        source_clear(&u.source);
        profile_manifest_free(u.said);
        profile_manifest_free(u.found);
        g_free(u.text);
        return r;
}
