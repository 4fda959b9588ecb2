/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the hashes of stored root images: before boots, and on wish. */
#include "core/image-check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "core/builds.h"
#include "core/image-private.h"
#include "core/work.h"
#include "model/name.h"
#include "shared/fd.h"
#include "shared/log.h"

int image_open(const Image *i, bool *ret_sound) {
        int fd = store_image_open(i->runtime->store, i->owner, i->hex);

        if (fd >= 0)
                *ret_sound = stamp_is_of(&i->stamp, fd);
        return fd;
}

bool image_is_sound(const Image *i) {
        bool sound = false;
        _cleanup_close_ int fd = image_open(i, &sound);

        return fd >= 0 && sound;
}

static int hash_start(Runtime *rt, Job *job, int fd, WorkDone done, void *userdata, Work **ret) {
        static const char *const names[] = {"file"};
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0)
                return -errno;
        return work_start(rt, job, 0, 1, json_pack("{s:s}", "op", "hash"), &copy, names, 1, done, userdata, ret);
}

/* What the worker found in the file that had this stamp, for image and problem. */
static int judge(Image *i, json_t *result, const Stamp *stamp, Problem **ret_problem) {
        const char *digest = json_string_value(json_object_get(result, "digest"));
        bool valid = digest && digest_is_valid(digest);
        bool right = valid && strcmp(digest + strlen("sha256:"), i->root_hash) == 0;

        i->stamp = right ? *stamp : (Stamp){};
        if (image_save(i) < 0)
                log_warning("the record of image %s could not be written; it will be hashed again", i->id);
        if (right)
                return 0;
        log_error("image %s is damaged", i->id);
        return problem_set(ret_problem, "DigestMismatch", NULL,
                "image %s is damaged: its root image should have the digest sha256:%s and has %s; import it again",
                image_reference(i), i->root_hash, valid ? digest : "none");
}

/* ---- Before a boot ---- */

struct ImageCheck {
        Image *image;
        Stamp stamp; /* of the file when its hash began */
        Work *work;
        GPtrArray *waiters;
};

void image_check_free(ImageCheck *c) {
        if (!c)
                return;
        (void) work_cancel(c->work);
        if (c->waiters->len > 0) {
                g_autoptr(Problem) gone = problem_new("NoSuchImage", "Image", "the image was removed");

                waiters_fire(c->waiters, gone);
        }
        g_ptr_array_unref(c->waiters);
        g_free(c);
}

static void on_checked(json_t *result, const Problem *problem, void *userdata) {
        ImageCheck *c = userdata;
        g_autoptr(GPtrArray) waiters = g_steal_pointer(&c->waiters);
        g_autoptr(Problem) damaged = NULL;

        c->work = NULL;
        if (!problem && judge(c->image, result, &c->stamp, &damaged) < 0)
                problem = damaged;
        /* The check goes first: who is told may ask anew. */
        c->image->check = NULL;
        c->waiters = waiters_new();
        image_check_free(c);
        waiters_fire(waiters, problem);
}

int image_check_kept(const Image *i, int fd, Problem **ret_problem) {
        if (i && stamp_is_of(&i->stamp, fd))
                return 0;
        return problem_set(ret_problem, "DigestMismatch", "Image", "the image was changed while it was verified");
}

void image_ensure(Image *i, int fd, WaiterDone done, void *userdata, Waiter **ret) {
        g_autoptr(Problem) problem = NULL;
        ImageCheck *c;
        int r;

        *ret = NULL;
        if (stamp_is_of(&i->stamp, fd)) {
                done(NULL, userdata);
                return;
        }
        if (!i->check) {
                c = g_new0(ImageCheck, 1);
                *c = (ImageCheck){.image = i, .waiters = waiters_new()};
                r = stamp_of(fd, &c->stamp);
                if (r >= 0)
                        r = hash_start(i->runtime, NULL, fd, on_checked, c, &c->work);
                if (r < 0) {
                        image_check_free(c);
                        problem = problem_new("BuildFailed", NULL,
                                "the image's file has changed and cannot be hashed: %s", g_strerror(-r));
                        done(problem, userdata);
                        return;
                }
                log_notice("image %s: its file is not as it was when it was verified, it is hashed again", i->id);
                i->check = c;
        }
        *ret = waiter_add(i->check->waiters, done, userdata);
}

void image_drop_unwanted(Runtime *rt) {
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->images);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                Image *i = value;

                if (i->check && i->check->waiters->len == 0)
                        g_clear_pointer(&i->check, image_check_free);
        }
}

/* ---- On wish ---- */

/* The image may go meanwhile, so it is looked up again by its id. */
typedef struct Verify {
        Job *job;
        char *id;
        Stamp stamp;
        Work *work;
} Verify;

static void verify_drop(void *userdata) {
        Verify *v = userdata;

        (void) work_cancel(v->work);
        g_free(v->id);
        g_free(v);
}

static void verify_end(Verify *v, const Problem *problem) {
        Job *j = v->job;

        verify_drop(v);
        job_finish(j, problem);
}

static void verify_fail(Verify *v, const char *error, const char *text) {
        g_autoptr(Problem) p = problem_new(error, NULL, "%s", text);

        verify_end(v, p);
}

static void verify_cancel(Job *j, void *userdata) {
        verify_fail(userdata, "Canceled", "the verification was canceled");
}

static void on_verified(json_t *result, const Problem *problem, void *userdata) {
        Verify *v = userdata;
        g_autoptr(Problem) damaged = NULL;
        Image *i = g_hash_table_lookup(v->job->runtime->images, v->id);

        v->work = NULL;
        if (!problem && !i) {
                verify_fail(v, "NoSuchImage", "the image was removed");
                return;
        }
        if (!problem && judge(i, result, &v->stamp, &damaged) < 0)
                problem = damaged;
        verify_end(v, problem);
}

static void verify_start(Job *j, void *userdata) {
        Verify *v = userdata;
        Image *i = g_hash_table_lookup(j->runtime->images, v->id);
        _cleanup_close_ int fd = -1;
        bool sound;
        int r;

        if (!i) {
                verify_fail(v, "NoSuchImage", "the image was removed");
                return;
        }
        fd = r = image_open(i, &sound);
        if (r >= 0)
                r = stamp_of(fd, &v->stamp);
        if (r == -ENOENT || r == -EBADF || r == -ELOOP) {
                verify_fail(v, "DigestMismatch", "the image's root image is not there any more; import it again");
                return;
        }
        if (r >= 0)
                r = hash_start(j->runtime, j, fd, on_verified, v, &v->work);
        if (r < 0)
                verify_fail(v, "BuildFailed", g_strerror(-r));
}

int image_verify(Image *i, uint32_t caller, Job **ret, Problem **ret_problem) {
        Runtime *rt = i->runtime;
        Verify *v;
        Job *j;
        int r;

        r = builds_check(rt, caller, ret_problem);
        if (r >= 0)
                r = job_new(rt, "verify", caller, &j, ret_problem);
        if (r < 0)
                return r;
        j->image = g_strdup(image_reference(i));
        j->image_id = g_strdup(i->id);
        v = g_new0(Verify, 1);
        *v = (Verify){.job = j, .id = g_strdup(i->id)};
        job_set_cancel(j, verify_cancel, v);
        job_announce(j);
        builds_join(j, NULL, verify_start, verify_drop, v);
        *ret = j;
        return 0;
}
