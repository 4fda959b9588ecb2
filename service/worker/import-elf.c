/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A static program alone: it gets a directory tree that a guest can start it in. */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "worker/digest.h"
#include "worker/elf-check.h"
#include "worker/image-writer.h"
#include "worker/import.h"

#define PROGRAM_DIR "usr/local/bin"
#define PROGRAM_NAME "program" /* when the job gives none */
#define NAME_MAX_BYTES 64U
#define CHUNK (256U * 1024U)

static const char passwd[] = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
static const char group[] = "root:x:0:\nnobody:x:65534:\n";

static const struct {
        const char *path;
        mode_t mode;
} directories[] = {
        {"", 0755},
        {"dev", 0755},
        {"etc", 0755},
        {"proc", 0555},
        {"root", 0700},
        {"run", 0755},
        {"sys", 0555},
        {"tmp", 01777},
        {"usr", 0755},
        {"usr/local", 0755},
        {PROGRAM_DIR, 0755},
        {"var", 0755},
        {"var/tmp", 01777},
};

static int read_elf(void *user, uint64_t offset, void *buf, size_t len) {
        return source_read(user, offset, buf, len);
}

static int program_name(struct import *im, const char **ret, struct failure *f) {
        const char *name = job_string(im->job, "name");

        if (!name)
                name = PROGRAM_NAME;
        if (!g_ascii_isalnum(*name) || strlen(name) > NAME_MAX_BYTES ||
                strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-") != strlen(name))
                return failf(f, -EINVAL, FAILURE_SPEC,
                        "name must be 1 to %u characters of [A-Za-z0-9._+-] and begin with a letter or digit",
                        NAME_MAX_BYTES);
        *ret = name;
        return 0;
}

static struct tree_inode *add(struct tree *t, const char *path, mode_t mode) {
        struct tree_inode attributes = {.mode = mode, .xattr = TREE_NO_XATTR}, *inode = NULL;

        (void) tree_add(t, 0, path, &attributes, NULL, &inode);
        return inode;
}

static int add_text(struct tree *t, struct image_writer *w, const char *path, const char *text, struct failure *f) {
        int r;

        r = image_writer_begin(w, add(t, path, S_IFREG | 0644), f);
        if (r >= 0)
                r = image_writer_append(w, text, strlen(text), f);
        return r >= 0 ? image_writer_end(w, f) : r;
}

static int hash_source(struct import *im, struct digest *digest) {
        g_autofree char *buf = g_malloc(CHUNK);
        int r = 0;

        for (uint64_t at = 0; r >= 0 && at < im->source.size; at += CHUNK) {
                size_t n = (size_t) MIN(im->source.size - at, CHUNK);

                r = source_read(&im->source, at, buf, n);
                if (r >= 0)
                        r = digest_update(digest, buf, n);
        }
        return r;
}

static int copy_program(struct import *im, struct image_writer *w, struct digest *digest, struct failure *f) {
        g_autofree char *buf = g_malloc(CHUNK);
        uint64_t size = im->source.size;

        for (uint64_t at = 0; at < size;) {
                size_t n = (size_t) MIN(size - at, CHUNK);
                int r = source_read(&im->source, at, buf, n);

                if (r >= 0)
                        r = digest_update(digest, buf, n);
                if (r < 0)
                        return fail_errno(f, r, "reading the program");
                r = image_writer_append(w, buf, n, f);
                if (r < 0)
                        return r;
                at += n;
                job_progress(im->job, (double) at / (double) size, "program");
        }
        return 0;
}

/* What the daemon may have already; what counts is the digest of what is copied. */
static int tell_digest(struct import *im, struct failure *f) {
        char text[DIGEST_TEXT_SIZE];
        struct digest sum;
        int r;

        r = digest_init(&sum);
        if (r >= 0)
                r = hash_source(im, &sum);
        if (r >= 0)
                r = digest_text(&sum, text);
        digest_clear(&sum);
        if (r < 0)
                return fail_errno(f, r, "hashing the program");
        job_digest(im->job, text);
        return 0;
}

static int add_program(struct import *im, struct tree *t, struct image_writer *w, const char *path,
        char digest[DIGEST_TEXT_SIZE], struct failure *f) {
        struct digest sum;
        int r;

        r = digest_init(&sum);
        if (r < 0)
                r = fail_errno(f, r, "hashing the program");
        if (r >= 0)
                r = image_writer_begin(w, add(t, path, S_IFREG | 0755), f);
        if (r >= 0)
                r = copy_program(im, w, &sum, f);
        if (r >= 0)
                r = image_writer_end(w, f);
        if (r >= 0 && digest_text(&sum, digest) < 0)
                r = fail_errno(f, -EIO, "hashing the program");
        digest_clear(&sum);
        return r;
}

static int write_image(
        struct import *im, const char *path, char digest[DIGEST_TEXT_SIZE], uint64_t *ret_size, struct failure *f) {
        struct image_writer *w = NULL;
        struct tree *t;
        char *culprit = NULL;
        int r;

        r = image_writer_new(im->output, &w, f);
        if (r < 0)
                return r;
        t = tree_new(1000);
        for (size_t i = 0; i < G_N_ELEMENTS(directories); i++)
                (void) add(t, directories[i].path, S_IFDIR | directories[i].mode);
        r = add_text(t, w, "etc/passwd", passwd, f);
        if (r >= 0)
                r = add_text(t, w, "etc/group", group, f);
        if (r >= 0)
                r = add_program(im, t, w, path, digest, f);
        if (r >= 0)
                r = tree_settle(t, &culprit);
        if (r >= 0)
                r = image_writer_finish(w, t, ret_size, f);
        image_writer_free(w);
        tree_free(t);
        g_free(culprit);
        return r;
}

int import_elf(struct import *im, json_t **ret_done, struct failure *f) {
        struct elf_source source = {.read = read_elf, .user = &im->source, .size = im->source.size};
        char digest[DIGEST_TEXT_SIZE];
        g_autofree char *path = NULL;
        const char *name = NULL;
        uint64_t size = 0;
        int r;

        if (im->source.size > im->limits.bytes)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "the program has %" G_GUINT64_FORMAT " bytes, more than %" G_GUINT64_FORMAT
                        " (limit \"bytes\")",
                        im->source.size, im->limits.bytes);
        r = program_name(im, &name, f);
        if (r >= 0)
                r = elf_check(&source, im->architecture, f);
        if (r >= 0)
                r = tell_digest(im, f);
        if (r < 0)
                return r;
        path = g_strconcat(PROGRAM_DIR "/", name, NULL);
        r = write_image(im, path, digest, &size, f);
        if (r < 0)
                return r;
        *ret_done = json_pack("{s:s, s:s, s:s, s:I, s:[], s:{s:[s+], s:[], s:[s], s:s, s:s, s:s, s:[]}}", "kind", "elf",
                "digest", digest, "architecture", im->architecture, "size", (json_int_t) size, "layers", "config",
                "entrypoint", "/", path, "cmd", "env",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "user", "", "workdir", "",
                "stop_signal", "", "ports");
        return *ret_done ? 0 : -ENOMEM;
}
