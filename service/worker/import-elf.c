/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A static program alone: it gets a directory tree that a guest can start it in. */
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "worker/digest.h"
#include "worker/elf-check.h"
#include "worker/image-writer.h"
#include "worker/import.h"
#include "worker/made-manifest.h"
#include "worker/program-layer.h"

#define PROGRAM_DIR "usr/local/bin"
#define PROGRAM_NAME "program" /* when the job gives none */
#define NAME_MAX_BYTES 64U
#define CHUNK (256U * 1024U)

/* The environment of the program, which the image's configuration says. */
#define PROGRAM_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

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

/* The layer, hashed. */
struct hashed {
        struct digest sum;
        uint64_t size;
};

static int hash_piece(const void *data, size_t len, void *user, struct failure *f) {
        struct hashed *h = user;
        int r = digest_update(&h->sum, data, len);

        h->size += len;
        return r < 0 ? fail_errno(f, r, "hashing the program's layer") : 0;
}

static int hash_layer(struct import *im, const char *path, char program[DIGEST_TEXT_SIZE], char layer[DIGEST_TEXT_SIZE],
        uint64_t *ret_size, struct failure *f) {
        struct hashed h = {};
        int r;

        r = digest_init(&h.sum);
        if (r < 0)
                r = fail_errno(f, r, "hashing the program");
        if (r >= 0)
                r = program_layer_write(&im->source, path, hash_piece, &h, program, f);
        if (r >= 0 && digest_text(&h.sum, layer) < 0)
                r = fail_errno(f, -EIO, "hashing the program's layer");
        digest_clear(&h.sum);
        *ret_size = h.size;
        return r;
}

static int make_manifest(
        struct import *im, const char *path, char program[DIGEST_TEXT_SIZE], made_manifest **ret, struct failure *f) {
        char layer[DIGEST_TEXT_SIZE];
        uint64_t size = 0;
        json_t *config;
        char *dumped, *text;
        int r;

        r = hash_layer(im, path, program, layer, &size, f);
        if (r < 0)
                return r;
        config = json_pack("{s:s, s:s, s:{s:[s+], s:[s]}, s:{s:s, s:[s]}}", "architecture",
                architecture_oci(im->architecture), "os", "linux", "config", "Entrypoint", "/", path, "Env",
                PROGRAM_PATH, "rootfs", "type", "layers", "diff_ids", layer);
        dumped = config ? json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        json_decref(config);
        if (!dumped)
                return fail_errno(f, -ENOMEM, "making the configuration");
        text = g_strdup(dumped);
        free(dumped);
        r = made_manifest_new(text, strlen(text), ret, f);
        if (r < 0)
                return r;
        made_manifest_add(*ret, layer, made_layer_type("\0\0\0"), size, (struct extent){});
        return made_manifest_seal(*ret, f);
}

static int keep_piece(const void *data, size_t len, void *user, struct failure *f) {
        return layout_writer_append(user, data, len, f);
}

static int keep_archive(struct import *im, const char *path, const made_manifest *made, struct failure *f) {
        const struct made_layer *l = &g_array_index(made->layers, struct made_layer, 0);
        char program[DIGEST_TEXT_SIZE];
        struct layout_writer *w;
        uint64_t size;
        int r;

        if (im->archive < 0)
                return 0;
        r = made_manifest_write(made, im->archive, &w, f);
        if (r < 0)
                return r;
        r = layout_writer_begin(w, l->digest, l->size, f);
        if (r >= 0)
                r = program_layer_write(&im->source, path, keep_piece, w, program, f);
        if (r >= 0)
                r = layout_writer_end(w, f);
        if (r >= 0)
                r = layout_writer_finish(w, &size, f);
        layout_writer_free(w);
        return r;
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
        (void) add(t, "", S_IFDIR | 0755);
        for (const struct program_directory *d = program_directories; d->path; d++)
                (void) add(t, d->path, S_IFDIR | d->mode);
        for (const struct program_text *text = program_texts; r >= 0 && text->path; text++)
                r = add_text(t, w, text->path, text->text, f);
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
        char program[DIGEST_TEXT_SIZE], copied[DIGEST_TEXT_SIZE];
        g_autoptr(made_manifest) made = NULL;
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
        if (r < 0)
                return r;
        path = g_strconcat(PROGRAM_DIR "/", name, NULL);
        r = make_manifest(im, path, program, &made, f);
        if (r < 0)
                return r;
        job_digest(im->job, made->digest);
        r = write_image(im, path, copied, &size, f);
        if (r >= 0 && strcmp(program, copied) != 0)
                r = failf(f, -EBADMSG, FAILURE_DIGEST, "the program changed while it was read");
        if (r >= 0)
                r = keep_archive(im, path, made, f);
        if (r < 0)
                return r;
        *ret_done = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:[s], s:{s:[s+], s:[], s:[s], s:s, s:s, s:s, s:[]}}",
                "kind", "elf", "digest", made->digest, "config_digest", made->config_digest, "program", program,
                "architecture", im->architecture, "size", (json_int_t) size, "layers",
                g_array_index(made->layers, struct made_layer, 0).digest, "config", "entrypoint", "/", path, "cmd",
                "env", PROGRAM_PATH, "user", "", "workdir", "", "stop_signal", "", "ports");
        return *ret_done ? 0 : -ENOMEM;
}
