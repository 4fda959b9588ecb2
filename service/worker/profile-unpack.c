/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From an artifact to objects: the layer is read as a tar that was handed in is, and the manifest that came along is
 * kept as it is where it says of the files what they were found to be. */
#include "worker/profile.h"

#include <archive.h>
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "worker/artifact-archive.h"
#include "worker/blob-stream.h"
#include "worker/profile-ingest.h"

struct unpack {
        struct job *job;
        struct limits limits;
        struct artifact_archive archive;
        profile_manifest *said, *found;
};

/* The profile's manifest, where the artifact has one. */
static int read_manifest(struct unpack *u, struct failure *f) {
        const char *profile = job_string(u->job, "profile");
        int r;

        if (!u->archive.artifact.described)
                return 0;
        r = profile_manifest_parse(u->archive.config, u->archive.config_len, &u->said, f);
        if (r >= 0 && g_strcmp0(u->said->profile, profile) != 0)
                return failf(f, -EBADMSG, FAILURE_PROFILE, "the artifact is of profile \"%s\", not \"%s\"",
                        u->said->profile, profile);
        return r;
}

static int read_layer(struct unpack *u, struct failure *f) {
        archive_reader *archive = archive_util_tar_packed();
        struct blob_stream stream = {};
        int r;

        r = blob_stream_init(&stream, &u->archive.source, u->archive.layer, NULL);
        if (r >= 0 && (!archive || blob_stream_open(&stream, archive) != ARCHIVE_OK))
                r = failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the layer is damaged or no tar: %s",
                        archive ? archive_error_string(archive) : "no memory");
        if (r >= 0)
                r = profile_ingest_archive(u->job, archive, &u->limits, u->archive.layer.size, &u->found, f);
        r = archive_read_end(stream.error, r, "reading the artifact", f);
        if (r >= 0)
                r = blob_stream_verify(&stream, u->archive.artifact.layer.digest, f);
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
        int r;

        r = artifact_archive_open(u->job, &artifact_profile, &u->limits, &u->archive, f);
        if (r >= 0)
                r = read_manifest(u, f);
        if (r >= 0)
                r = read_layer(u, f);
        if (r < 0)
                return r;
        if (!u->said)
                return profile_ingest_made(u->job, u->found, ret_done, f);
        r = compare(u->said, u->found, f);
        return r < 0 ? r
                     : profile_ingest_manifest(u->job, u->said, u->archive.config, u->archive.config_len, ret_done, f);
}

int profile_unpack_run(struct job *job, json_t **ret_done, struct failure *f) {
        struct unpack u = {.job = job};
        int r;

        r = job_need_fd(job, "output", f);
        if (r >= 0)
                r = limits_parse(json_object_get(job->launch, "limits"), &u.limits, f);
        if (r < 0)
                return r;
        r = unpack(&u, ret_done, f);
        artifact_archive_clear(&u.archive);
        profile_manifest_free(u.said);
        profile_manifest_free(u.found);
        return r;
}
