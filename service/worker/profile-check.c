/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the manifests of a store, and the objects of one of them: each is hashed, and copied where it cannot be linked.
 * Which file is which is the daemon's to say; this process has the descriptors only. */
#include "worker/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/fd.h"
#include "worker/digest.h"
#include "worker/profile-manifest.h"

#define CHUNK (1U << 20)

static int load_manifest(int fd, profile_manifest **ret, char digest[DIGEST_TEXT_SIZE], struct failure *f) {
        char *text = NULL;
        size_t len;
        int r;

        r = read_file(fd, PROFILE_MANIFEST_MAX, &text, &len);
        if (r == -EFBIG)
                return failf(f, -E2BIG, FAILURE_LIMIT, "manifest: it has more than %u bytes, which is the limit",
                        PROFILE_MANIFEST_MAX);
        if (r >= 0)
                r = digest_of(text, len, digest);
        if (r >= 0)
                r = profile_manifest_parse(text, len, ret, f);
        else
                r = fail_errno(f, r, "reading the manifest");
        free(text);
        return r;
}

/* ---- Manifests ---- */

#define NAMES_A_MESSAGE 1000U

/* The objects of a manifest, each time it names one. */
static int tell_names(struct job *job, const profile_manifest *m) {
        int r = 0;

        for (guint first = 0; first < m->entries->len && r >= 0; first += NAMES_A_MESSAGE) {
                json_t *list = json_array();

                for (guint i = first; i < MIN(first + NAMES_A_MESSAGE, m->entries->len); i++)
                        (void) json_array_append_new(
                                list, json_string(((const profile_entry *) m->entries->pdata[i])->hash));
                r = job_tell(job, json_pack("{s:s, s:o}", "type", "names", "list", list));
        }
        return r;
}

/* One manifest, good or not: the daemon hears of both. */
static int scan_one(struct job *job, const char *file, int fd) {
        g_autoptr(profile_manifest) m = NULL;
        char digest[DIGEST_TEXT_SIZE];
        struct failure f = {};
        json_t *told;
        int r;

        r = load_manifest(fd, &m, digest, &f);
        if (r >= 0) {
                told = profile_manifest_summary(m);
                (void) json_object_set_new(told, "digest", json_string(digest + strlen("sha256:")));
        } else
                told = json_pack("{s:s, s:s}", "error", f.name ?: FAILURE_OTHER, "message", f.message ?: "unknown");
        failure_clear(&f);
        if (r >= 0 && json_is_true(json_object_get(job->launch, "names")) && tell_names(job, m) < 0) {
                json_decref(told);
                return -EIO;
        }
        if (!told)
                return -ENOMEM;
        (void) json_object_set_new(told, "type", json_string("manifest"));
        (void) json_object_set_new(told, "file", json_string(file));
        return job_tell(job, told);
}

int profile_scan_run(struct job *job, json_t **ret_done, struct failure *f) {
        for (;;) {
                int fds[LAUNCH_FDS_MAX], r;
                json_t *answer = NULL;
                const char *file;
                size_t n = 0;

                r = job_ask(job, json_pack("{s:s}", "type", "next"), "next", &answer, fds, &n);
                if (r < 0)
                        return fail_errno(f, r, "asking for the next manifest");
                file = json_string_value(json_object_get(answer, "file"));
                if (file && n == 1)
                        r = scan_one(job, file, fds[0]);
                else if (file)
                        r = -EMFILE;
                for (size_t i = 0; i < n; i++)
                        (void) close_fd(fds[i]);
                json_decref(answer);
                if (r < 0)
                        return fail_errno(f, r, "telling of a manifest");
                if (n != 1)
                        break;
        }
        *ret_done = json_object();
        return 0;
}

/* ---- Objects ---- */

struct check {
        struct job *job;
        const profile_manifest *manifest;
        char *buffer;
        uint64_t done; /* bytes read */
};

/* The bytes of one file, hashed, and written to `copy` where that is a descriptor. */
static int read_object(struct check *c, int fd, int copy, char text[DIGEST_TEXT_SIZE], struct failure *f) {
        struct digest digest = {};
        off_t at = 0;
        int r;

        r = digest_init(&digest);
        while (r >= 0) {
                ssize_t n = pread(fd, c->buffer, CHUNK, at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        r = -errno;
                if (n <= 0)
                        break;
                at += n;
                c->done += (uint64_t) n;
                if (c->done > 2 * PROFILE_BYTES_MAX)
                        r = failf(f, -E2BIG, FAILURE_LIMIT, "the objects have more than %llu bytes, which is the limit",
                                PROFILE_BYTES_MAX);
                if (r >= 0)
                        r = digest_update(&digest, c->buffer, (size_t) n);
                if (r >= 0 && copy >= 0)
                        r = write_all(copy, c->buffer, (size_t) n);
                if (c->manifest->total_bytes > 0)
                        job_progress(c->job, (double) c->done / (double) c->manifest->total_bytes, "verify");
        }
        if (r >= 0 && copy >= 0 && fsync(copy) < 0)
                r = -errno;
        if (r >= 0)
                r = digest_text(&digest, text);
        digest_clear(&digest);
        return r;
}

static int check_object(struct check *c, const profile_entry *e, int fd, int copy, struct failure *f) {
        char text[DIGEST_TEXT_SIZE];
        int r;

        r = read_object(c, fd, copy, text, f);
        if (r < 0) {
                g_autofree char *what = g_strdup_printf("object %s (%s)", e->hash, e->path);

                return fail_errno(f, r, what);
        }
        if (strcmp(text + strlen("sha256:"), e->hash) == 0)
                return 0;
        return failf(f, -EBADMSG, FAILURE_PROFILE, "object %s (%s) is damaged: its bytes have the hash %s", e->hash,
                e->path, text + strlen("sha256:"));
}

/* What the daemon answers to a batch: which of its entries are to be read, and with which descriptors. */
static int work_through(
        struct check *c, guint first, const json_t *list, const int *fds, size_t n_fds, struct failure *f) {
        size_t used = 0, i;
        json_t *item;

        json_array_foreach((json_t *) list, i, item) {
                json_int_t entry = json_integer_value(json_object_get(item, "entry"));
                size_t wanted = json_is_true(json_object_get(item, "copy")) ? 2 : 1;
                int r;

                if (entry < 0 || entry >= PROFILE_BATCH || first + (guint) entry >= c->manifest->entries->len ||
                        used + wanted > n_fds)
                        return failf(f, -EBADMSG, FAILURE_OTHER, "the daemon's answer is none");
                r = check_object(c, c->manifest->entries->pdata[first + (guint) entry], fds[used],
                        wanted == 2 ? fds[used + 1] : -1, f);
                if (r < 0)
                        return r;
                used += wanted;
        }
        return 0;
}

static json_t *batch(const profile_manifest *m, guint first) {
        json_t *list = json_array();

        for (guint i = first; i < MIN(first + PROFILE_BATCH, m->entries->len); i++) {
                const profile_entry *e = m->entries->pdata[i];

                (void) json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "path", e->path, "hash", e->hash,
                                                           "executable", (int) e->executable));
        }
        return json_pack("{s:s, s:o}", "type", "place", "list", list);
}

static int check_entries(struct check *c, struct failure *f) {
        for (guint first = 0; first < c->manifest->entries->len; first += PROFILE_BATCH) {
                int fds[LAUNCH_FDS_MAX], r;
                json_t *answer = NULL;
                size_t n = 0;

                r = job_ask(c->job, batch(c->manifest, first), "placed", &answer, fds, &n);
                if (r < 0)
                        return fail_errno(f, r, "asking for objects");
                r = work_through(c, first, json_object_get(answer, "list"), fds, n, f);
                for (size_t i = 0; i < n; i++)
                        (void) close_fd(fds[i]);
                json_decref(answer);
                if (r < 0)
                        return r;
        }
        return 0;
}

int profile_check_run(struct job *job, json_t **ret_done, struct failure *f) {
        g_autoptr(profile_manifest) m = NULL;
        g_autofree char *buffer = g_malloc(CHUNK);
        const char *profile = job_string(job, "profile");
        struct check c = {.job = job, .buffer = buffer};
        char digest[DIGEST_TEXT_SIZE];
        int fd, r;

        fd = job_need_fd(job, "manifest", f);
        if (fd < 0)
                return fd;
        r = load_manifest(fd, &m, digest, f);
        if (r < 0)
                return r;
        if (profile && strcmp(m->profile, profile) != 0)
                return failf(f, -EBADMSG, FAILURE_PROFILE, "manifest: it is of profile \"%s\", not \"%s\"", m->profile,
                        profile);
        c.manifest = m;
        r = check_entries(&c, f);
        if (r < 0)
                return r;
        *ret_done = profile_manifest_summary(m);
        if (*ret_done)
                (void) json_object_set_new(*ret_done, "digest", json_string(digest + strlen("sha256:")));
        return *ret_done ? 0 : -ENOMEM;
}
