/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layer of a lone program. */
#include "worker/program-layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <glib.h>
#include <string.h>

#define CHUNK (256U * 1024U)

const struct program_directory program_directories[] = {
        {"dev", 0755},
        {"etc", 0755},
        {"proc", 0555},
        {"root", 0700},
        {"run", 0755},
        {"sys", 0555},
        {"tmp", 01777},
        {"usr", 0755},
        {"usr/local", 0755},
        {"usr/local/bin", 0755},
        {"var", 0755},
        {"var/tmp", 01777},
        {},
};

const struct program_text program_texts[] = {
        {"etc/passwd", "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"},
        {"etc/group", "root:x:0:\nnobody:x:65534:\n"},
        {},
};

struct stream {
        struct archive *archive;
        ProgramLayerSink sink;
        void *user;
        struct failure *f;
        int error; /* of the sink */
};

static la_ssize_t on_write(struct archive *a, void *user, const void *data, size_t len) {
        struct stream *s = user;

        s->error = s->sink(data, len, s->user, s->f);
        if (s->error >= 0)
                return (la_ssize_t) len;
        archive_set_error(a, -s->error, "the sink failed");
        return -1;
}

static int stream_failed(const struct stream *s, struct failure *f) {
        return s->error < 0 ? s->error : fail_errno(f, -EIO, "writing the program's layer");
}

static int begin(struct stream *s, const char *path, mode_t type, mode_t mode, uint64_t size, struct failure *f) {
        struct archive_entry *entry = archive_entry_new();
        int r;

        if (!entry)
                return fail_errno(f, -ENOMEM, "writing the program's layer");
        archive_entry_set_pathname(entry, path);
        archive_entry_set_filetype(entry, type);
        archive_entry_set_perm(entry, mode);
        archive_entry_set_size(entry, (la_int64_t) size);
        archive_entry_set_mtime(entry, 0, 0);
        r = archive_write_header(s->archive, entry);
        archive_entry_free(entry);
        return r == ARCHIVE_OK ? 0 : stream_failed(s, f);
}

static int append(struct stream *s, const void *data, size_t len, struct failure *f) {
        return archive_write_data(s->archive, data, len) == (la_ssize_t) len ? 0 : stream_failed(s, f);
}

static int write_surroundings(struct stream *s, struct failure *f) {
        int r = 0;

        for (const struct program_directory *d = program_directories; r >= 0 && d->path; d++)
                r = begin(s, d->path, AE_IFDIR, d->mode, 0, f);
        for (const struct program_text *t = program_texts; r >= 0 && t->path; t++) {
                r = begin(s, t->path, AE_IFREG, 0644, strlen(t->text), f);
                if (r >= 0)
                        r = append(s, t->text, strlen(t->text), f);
        }
        return r;
}

static int write_program(struct stream *s, const struct source *program, struct digest *sum, struct failure *f) {
        g_autofree char *buf = g_malloc(CHUNK);

        for (uint64_t at = 0; at < program->size;) {
                size_t n = (size_t) MIN(program->size - at, CHUNK);
                int r = source_read(program, at, buf, n);

                if (r >= 0)
                        r = digest_update(sum, buf, n);
                if (r < 0)
                        return fail_errno(f, r, "reading the program");
                r = append(s, buf, n, f);
                if (r < 0)
                        return r;
                at += n;
        }
        return 0;
}

static int write_all_of_it(struct stream *s, const struct source *program, const char *path,
        char digest[DIGEST_TEXT_SIZE], struct failure *f) {
        struct digest sum = {};
        int r;

        r = digest_init(&sum);
        if (r < 0)
                r = fail_errno(f, r, "hashing the program");
        if (r >= 0)
                r = write_surroundings(s, f);
        if (r >= 0)
                r = begin(s, path, AE_IFREG, 0755, program->size, f);
        if (r >= 0)
                r = write_program(s, program, &sum, f);
        if (r >= 0 && archive_write_close(s->archive) != ARCHIVE_OK)
                r = stream_failed(s, f);
        if (r >= 0 && digest_text(&sum, digest) < 0)
                r = fail_errno(f, -EIO, "hashing the program");
        digest_clear(&sum);
        return r;
}

int program_layer_write(const struct source *program, const char *path, ProgramLayerSink sink, void *user,
        char digest[DIGEST_TEXT_SIZE], struct failure *f) {
        struct stream s = {.archive = archive_write_new(), .sink = sink, .user = user, .f = f};
        int r;

        if (!s.archive || archive_write_set_format_pax_restricted(s.archive) != ARCHIVE_OK ||
                archive_write_set_bytes_in_last_block(s.archive, 1) != ARCHIVE_OK ||
                archive_write_open2(s.archive, &s, NULL, on_write, NULL, NULL) != ARCHIVE_OK)
                r = fail_errno(f, -EIO, "beginning the program's layer");
        else
                r = write_all_of_it(&s, program, path, digest, f);
        if (s.archive)
                (void) archive_write_free(s.archive);
        return r;
}
