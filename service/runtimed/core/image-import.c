/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of an import: one worker writes the root image, a second one hashes it, then it is linked and recorded. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "core/builds.h"
#include "core/image-check.h"
#include "core/image-private.h"
#include "core/quota.h"
#include "core/work.h"
#include "model/name.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/log.h"

#define WRITE_SHARE 0.9 /* of the progress; the rest is the hash */

struct Import {
        Runtime *runtime;
        Job *job;
        double from, to; /* the import's part of the job's progress */
        uint32_t owner;
        char *reference, *tmp;
        const char *architecture;            /* as images name it */
        char *archive, *manifest, *resolved; /* see ImportRequest */
        uint64_t size;                       /* of the root image */
        uint64_t bytes;                      /* the image may have at most */
        Work *work;
        json_t *result; /* of the first run */
        ImportDone done;
        void *userdata;
};

Import *import_cancel(Import *im) {
        if (!im)
                return NULL;
        (void) work_cancel(im->work);
        if (im->tmp)
                store_image_discard(im->runtime->store, im->owner, im->tmp);
        if (im->archive)
                store_image_discard(im->runtime->store, im->owner, im->archive);
        json_decref(im->result);
        g_free(im->archive);
        g_free(im->manifest);
        g_free(im->resolved);
        g_free(im->reference);
        g_free(im->tmp);
        g_free(im);
        return NULL;
}

static void import_end(Import *im, Image *image, const Problem *problem) {
        ImportDone done = im->done;
        void *userdata = im->userdata;

        (void) import_cancel(im);
        done(image, problem, userdata);
}

static double share(const Import *im, double part) {
        return im->from + (im->to - im->from) * part;
}

Problem *image_problem(const char *error, int r, const char *what) {
        return problem_new(r == -ENOSPC || r == -EDQUOT ? "NoSpace" : error, NULL, "%s: %s", what, g_strerror(-r));
}

static void import_fail(Import *im, const char *error, int r, const char *what) {
        g_autoptr(Problem) p = image_problem(error, r, what);

        import_end(im, NULL, p);
}

static const char *result_hex(json_t *result) {
        const char *digest = json_string_value(json_object_get(result, "digest"));

        return digest && digest_is_valid(digest) ? digest + strlen("sha256:") : NULL;
}

void image_name_job(Image *image, Job *job) {
        if (job->image_id)
                return;
        job->runtime->observer->job_changing(job, "Subject", job->runtime->observer_data);
        job->image_id = g_strdup(image->id);
}

/* The form in which a push sends it, beside the image; one that is there already stays. */
static int import_keep_archive(Import *im, Image *image) {
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        if (!im->archive || image->archive_size > 0 || !im->runtime->config->keep_archives)
                return 0;
        fd = store_image_part_open(im->runtime->store, im->owner, im->archive);
        if (fd < 0 || fstat(fd, &st) < 0)
                return fd < 0 ? fd : -errno;
        if (image->size + (uint64_t) st.st_size > im->bytes) {
                job_log(im->job, LOG_NOTICE, "no room to keep what a push would send (ImageBytesPerUser=)");
                return 0;
        }
        r = store_image_commit_archive(im->runtime->store, im->owner, im->archive, image->hex);
        if (r < 0)
                return r;
        g_clear_pointer(&im->archive, g_free);
        image->archive_size = (uint64_t) st.st_size;
        return 0;
}

/* The image is there under its digest; its record and names are what is left. */
static int import_record(Import *im, Image *image, bool is_new) {
        Runtime *rt = im->runtime;
        int r;

        r = image_add_reference(image, im->reference);
        if (r >= 0)
                r = import_keep_archive(im, image);
        if (r >= 0 && im->resolved)
                image_set_source(image, im->reference, im->resolved);
        if (r >= 0)
                r = image_save(image);
        if (r < 0)
                return r;
        if (is_new) {
                (void) g_hash_table_insert(rt->images, image->id, image);
                rt->observer->image_new(image, rt->observer_data);
        }
        image_name_job(image, im->job);
        return 0;
}

static Image *find_known(Import *im, const char *hex) {
        g_autofree char *id = g_strdup_printf("%u/%s", im->owner, hex);

        return g_hash_table_lookup(im->runtime->images, id);
}

/* The image is there already: all that is new is a name. */
static void import_known(Import *im, Image *known) {
        int r = import_record(im, known, false);

        if (r < 0)
                import_fail(im, "BuildFailed", r, "the image's new name could not be stored");
        else
                import_end(im, known, NULL);
}

static json_t *describe(Import *im, const char *root_hex) {
        json_t *record = json_pack("{s:[], s:s, s:I, s:O, s:O, s:O, s:I}", "references", "root_hash", root_hex, "size",
                (json_int_t) im->size, "architecture", json_object_get(im->result, "architecture"), "kind",
                json_object_get(im->result, "kind"), "config", json_object_get(im->result, "config"), "created_at",
                (json_int_t) now_realtime());

        if (record) {
                (void) json_object_set(record, "layers", json_object_get(im->result, "layers"));
                (void) json_object_set(record, "config_digest", json_object_get(im->result, "config_digest"));
                (void) json_object_set(record, "program", json_object_get(im->result, "program"));
        }
        return record;
}

/* The file that was verified is the image's from here on. */
static int take_root(Import *im, Image *image) {
        _cleanup_close_ int fd = -1;
        int r;

        r = store_image_commit(im->runtime->store, im->owner, im->tmp, image->hex);
        if (r < 0)
                return r;
        g_clear_pointer(&im->tmp, g_free);
        fd = store_image_open(im->runtime->store, im->owner, image->hex);
        return fd < 0 ? fd : stamp_of(fd, &image->stamp);
}

/* Its file is damaged: the new one takes its place, under the old names and for the same VMs. */
static void import_repair(Import *im, Image *known, const char *root_hex) {
        int r;

        r = take_root(im, known);
        if (r < 0) {
                import_fail(im, "BuildFailed", r, "the image's file could not be replaced");
                return;
        }
        log_notice("image %s was damaged and is whole again", known->id);
        g_free(known->root_hash);
        known->root_hash = g_strdup(root_hex);
        known->size = im->size;
        import_known(im, known);
}

static void import_store(Import *im, const char *hex, const char *root_hex) {
        json_t *record = describe(im, root_hex);
        Image *image = NULL;
        int r;

        r = record ? image_from_json(im->runtime, im->owner, hex, record, &image) : -EBADMSG;
        json_decref(record);
        if (r < 0) {
                import_fail(im, "BuildFailed", r, "the worker's description of the image");
                return;
        }
        r = take_root(im, image);
        CRASH_POINT(IMPORT_LINKED);
        if (r >= 0)
                r = import_record(im, image, true);
        CRASH_POINT(IMPORT_RECORDED);
        if (r < 0) {
                (void) store_image_remove(im->runtime->store, im->owner, hex);
                image_free(image);
                import_fail(im, "BuildFailed", r, "the image could not be stored");
                return;
        }
        import_end(im, image, NULL);
}

static void on_hashed(json_t *result, const Problem *problem, void *userdata) {
        Import *im = userdata;
        const char *root_hex = result ? result_hex(result) : NULL, *hex = result_hex(im->result);
        Image *known;

        im->work = NULL;
        if (problem) {
                import_end(im, NULL, problem);
                return;
        }
        if (!root_hex) {
                import_fail(im, "BuildFailed", -EBADMSG, "the worker's hash");
                return;
        }
        CRASH_POINT(IMPORT_HASHED);
        known = find_known(im, hex);
        if (!known)
                import_store(im, hex, root_hex);
        else if (image_is_sound(known)) /* another import of the same was faster */
                import_known(im, known);
        else
                import_repair(im, known, root_hex);
}

/* A worker without network followed the digests from the reference's own to the manifest's. */
static bool result_is_expected(Import *im, json_t *result) {
        const char *digest = json_string_value(json_object_get(result, "digest"));
        json_t *step;
        size_t k;

        if (im->manifest && g_strcmp0(digest, im->manifest) != 0)
                return false;
        if (!im->resolved)
                return true;
        json_array_foreach(json_object_get(result, "chain"), k, step) {
                if (g_strcmp0(json_string_value(step), im->resolved) == 0)
                        return true;
        }
        return false;
}

static void on_written(json_t *result, const Problem *problem, void *userdata) {
        static const char *const names[] = {"file"};
        Import *im = userdata;
        const char *hex;
        struct stat st;
        Image *known;
        int fd, r;

        im->work = NULL;
        if (problem) {
                import_end(im, NULL, problem);
                return;
        }
        CRASH_POINT(IMPORT_WRITTEN);
        hex = result_hex(result);
        if (!hex || g_strcmp0(json_string_value(json_object_get(result, "architecture")), im->architecture) != 0) {
                import_fail(im, "BuildFailed", -EBADMSG, "the worker's answer");
                return;
        }
        if (!result_is_expected(im, result)) {
                g_autoptr(Problem) p =
                        problem_new("DigestMismatch", NULL, "what was fetched is not the image %s: its manifest is %s",
                                im->resolved ?: im->manifest, json_string_value(json_object_get(result, "digest")));

                import_end(im, NULL, p);
                return;
        }
        im->result = json_incref(result);
        known = find_known(im, hex);
        if (known && image_is_sound(known)) {
                import_known(im, known);
                return;
        }
        fd = store_image_part_open(im->runtime->store, im->owner, im->tmp);
        r = fd < 0 || fstat(fd, &st) == 0 ? fd : -errno;
        if (r < 0) {
                (void) close_fd(fd);
                import_fail(im, "BuildFailed", r, "the image file");
                return;
        }
        im->size = (uint64_t) st.st_size; /* the file's own, not the worker's word */
        r = work_start(im->runtime, im->job, share(im, WRITE_SHARE), im->to, json_pack("{s:s}", "op", "hash"), &fd,
                names, 1, on_hashed, im, &im->work);
        if (r < 0)
                import_fail(im, "BuildFailed", r, "the image worker could not be started");
}

/* The worker knows what it is about to unpack: what is there already need not be made again. */
static void on_message(json_t *message, void *userdata) {
        Import *im = userdata;
        const char *hex = result_hex(message);
        Image *known;

        if (strcmp(json_string_value(json_object_get(message, "type")), "digest") != 0 || !hex || im->resolved)
                return; /* the reference's own digest must lead to it, which the worker tells in the end */
        known = find_known(im, hex);
        if (known && (!im->archive || known->archive_size > 0) && image_is_sound(known)) {
                job_log(im->job, LOG_INFO, "the image is there already");
                import_known(im, known);
        }
}

/* A name for a lone program: the last part of the reference's path. */
static char *program_name(const char *reference) {
        const char *start = strrchr(reference, '/');
        size_t n;

        start = start ? start + 1 : reference;
        n = strcspn(start, ":@");
        return n > 0 ? g_strndup(start, n) : g_strdup("program");
}

static json_t *import_message(Import *im, const char *path) {
        const Config *config = im->runtime->config;
        g_autofree char *name = program_name(im->reference);
        json_t *message = json_pack("{s:s, s:s, s:s, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "op", "import", "architecture",
                im->architecture, "name", name, "limits", "bytes",
                (json_int_t) MIN(im->bytes, (uint64_t) INT64_MAX), "entries",
                (json_int_t) MIN(config->image_entries_max, (uint64_t) INT64_MAX), "layers",
                (json_int_t) config->image_layers_max, "depth", (json_int_t) config->image_depth_max, "manifest",
                (json_int_t) config->image_manifest_bytes_max, "name", (json_int_t) config->image_name_bytes_max);

        if (!path)
                return message;
        (void) json_object_set_new(message, "path", json_string(path));
        (void) json_object_set_new(message, "roots", work_roots(im->runtime));
        return message;
}

/* What the worker writes beside the root image is what a push sends; a pull brings it along. */
static int create_archive(Import *im) {
        if (im->archive || !im->runtime->config->keep_archives)
                return -1;
        return store_image_create(im->runtime->store, im->owner, &im->archive);
}

static int import_start(Import *im, int *source, const char *path) {
        int fds[3] = {-1, -1, -1}, r;
        const char *names[3];
        size_t n = 0;

        names[n] = "output";
        fds[n] = store_image_create(im->runtime->store, im->owner, &im->tmp);
        if (fds[n] < 0)
                return fds[n];
        CRASH_POINT(IMPORT_FILE);
        n++;
        names[n] = "archive";
        fds[n] = create_archive(im);
        if (fds[n] >= 0)
                n++;
        names[n] = "source";
        fds[n] = take_fd(source);
        if (fds[n] >= 0)
                n++;
        r = work_start(im->runtime, im->job, im->from, share(im, WRITE_SHARE), import_message(im, path), fds, names, n,
                on_written, im, &im->work);
        if (r >= 0)
                work_on_message(im->work, on_message);
        return r;
}

int import_new(Runtime *rt, Job *job, const ImportRequest *q, ImportDone done, void *userdata, Import **ret) {
        Import *im = g_new0(Import, 1);
        int source = q->source, r;

        *im = (Import){.runtime = rt,
                .job = job,
                .from = q->from,
                .to = q->to,
                .owner = q->owner,
                .reference = g_strdup(q->reference),
                .architecture = q->architecture ?: image_architecture(rt->limits.architecture),
                .bytes = q->bytes,
                .manifest = g_strdup(q->manifest),
                .resolved = g_strdup(q->resolved),
                .archive = q->archive,
                .done = done,
                .userdata = userdata};
        r = import_start(im, &source, q->path);
        (void) close_fd(source);
        if (r < 0) {
                (void) import_cancel(im);
                return r;
        }
        *ret = im;
        return 0;
}

/* ---- A job of its own ---- */

/* What an import is to do when it is its turn. */
typedef struct Waiting {
        char *reference, *path;
        const char *architecture;
        int source; /* -1: path */
} Waiting;

static void waiting_free(Waiting *w) {
        (void) close_fd(w->source);
        g_free(w->reference);
        g_free(w->path);
        g_free(w);
}

static void on_imported(Image *image, const Problem *problem, void *userdata) {
        job_finish(userdata, problem);
}

static void finish_canceled(Job *j) {
        g_autoptr(Problem) p = problem_new("Canceled", NULL, "the import was canceled");

        job_finish(j, p);
}

static void job_cancel_import(Job *j, void *userdata) {
        (void) import_cancel(userdata);
        finish_canceled(j);
}

static void waiting_drop(void *userdata) {
        waiting_free(userdata);
}

static void job_cancel_waiting(Job *j, void *userdata) {
        waiting_free(userdata);
        finish_canceled(j);
}

/* What the owner's other imports may still come to is kept for them; alone it finds out how far it comes. */
static bool has_room(const Job *j, void *userdata) {
        return quota_has_image_room(j->runtime, j->owner);
}

static int start_waiting(Job *j, Waiting *w, Problem **ret_problem) {
        ImportRequest q = {.owner = j->owner,
                .reference = w->reference,
                .architecture = w->architecture,
                .path = w->path,
                .to = 1};
        Import *im;
        int r;

        r = quota_check_image(j->runtime, j->owner, ret_problem);
        if (r < 0)
                return r;
        q.bytes = MIN(quota_image_bytes(j->runtime, j->owner), j->runtime->config->image_bytes_max);
        q.source = take_fd(&w->source);
        r = import_new(j->runtime, j, &q, on_imported, j, &im);
        if (r < 0) {
                *ret_problem = image_problem("BuildFailed", r, "the image worker could not be started");
                return r;
        }
        j->reserved = q.bytes;
        job_set_cancel(j, job_cancel_import, im);
        return 0;
}

static void on_turn(Job *j, void *userdata) {
        g_autoptr(Problem) problem = NULL;
        int r = start_waiting(j, userdata, &problem);

        waiting_free(userdata);
        if (r < 0)
                job_finish(j, problem);
}

int image_import(Runtime *rt, uint32_t owner, const char *reference, const char *architecture, int source,
        const char *path, Job **ret, Problem **ret_problem) {
        Waiting *w;
        Job *j;
        int r;

        r = quota_check_image(rt, owner, ret_problem);
        if (r >= 0)
                r = builds_check(rt, owner, ret_problem);
        if (r >= 0)
                r = job_new(rt, "import", owner, &j, ret_problem);
        if (r < 0) {
                (void) close_fd(source);
                return r;
        }
        j->image = g_strdup(reference);
        w = g_new(Waiting, 1);
        *w = (Waiting){.reference = g_strdup(reference),
                .path = g_strdup(path),
                .architecture = architecture,
                .source = source};
        job_set_cancel(j, job_cancel_waiting, w);
        job_announce(j);
        builds_join(j, has_room, on_turn, waiting_drop, w);
        *ret = j;
        return 0;
}
