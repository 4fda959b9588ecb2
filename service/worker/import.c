/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a source is, and the way of its layers into the image. */
#include "worker/import.h"

#include <ctype.h>
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "worker/elf-check.h"
#include "worker/layer.h"

#define ACCEPTED                                                                                                       \
        "accepted are a static ELF program, an OCI archive (a tar with oci-layout, index.json and blobs/) and a "      \
        "docker "                                                                                                      \
        "archive (a tar with manifest.json), each plain or compressed"

static int refuse(struct failure *f, const char *what) {
        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the source is %s; " ACCEPTED, what);
}

/* Names what people import by mistake. NULL: worth looking at as a tar. */
static const char *known_stranger(const char *head, size_t len) {
        static const struct {
                const char *magic;
                size_t len;
                const char *what;
        } strangers[] = {
                {"#!", 2, "a script, which needs its interpreter: put both into an OCI image"},
                {"MZ", 2, "a Windows program"},
                {"PK\3\4", 4, "a zip archive"},
                {"hsqs", 4, "a SquashFS image"},
                {"QFI\xfb", 4, "a qcow2 disk image"},
                {"\xcf\xfa\xed\xfe", 4, "a macOS program"},
                {"!<arch>\n", 8, "an ar archive (a library or Debian package)"},
                {"070701", 6, "a cpio archive"},
                {"{", 1, "a JSON text, not an archive"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(strangers); i++)
                if (len >= strangers[i].len && memcmp(head, strangers[i].magic, strangers[i].len) == 0)
                        return strangers[i].what;
        return NULL;
}

static int import_archive(struct import *im, json_t **ret_done, struct failure *f) {
        struct archive_index *x = NULL;
        struct extent e;
        int r;

        r = archive_index_new(&im->source, &im->limits, &x, f);
        if (r < 0)
                return r;
        if (archive_index_find(x, "oci-layout", &e) && archive_index_find(x, "index.json", &e))
                r = import_oci(im, x, ret_done, f);
        else if (archive_index_find(x, "manifest.json", &e))
                r = import_docker(im, x, ret_done, f);
        else
                r = refuse(f, "a tar without oci-layout, index.json or manifest.json");
        archive_index_free(x);
        return r;
}

/* A tar has its magic at 257; very old ones have none, and nobody makes images with them. */
static bool looks_like_tar(const char *head, size_t len) {
        return len >= 512 && memcmp(head + 257, "ustar", 5) == 0;
}

static int import_source(struct import *im, bool unpacked, json_t **ret_done, struct failure *f) {
        char head[512];
        size_t len = (size_t) MIN(im->source.size, sizeof head);
        const char *stranger;
        int r;

        r = source_read(&im->source, 0, head, len);
        if (r < 0)
                return fail_errno(f, r, "reading the image");
        if (len == 0)
                return refuse(f, unpacked ? "a compressed empty file" : "empty");
        if (len >= 4 && memcmp(head, "\177ELF", 4) == 0)
                return import_elf(im, ret_done, f);
        if (looks_like_tar(head, len))
                return import_archive(im, ret_done, f);
        stranger = known_stranger(head, len);
        if (!stranger)
                stranger = unpacked ? "something compressed that is neither" : "neither";
        return refuse(f, stranger);
}

static int check_output(int fd, struct failure *f) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return fail_errno(f, -errno, "looking at the output");
        if (!S_ISREG(st.st_mode) || st.st_size != 0)
                return failf(f, -EINVAL, FAILURE_SPEC, "the output must be an empty regular file");
        return 0;
}

int import_run(struct job *job, json_t **ret_done, struct failure *f) {
        struct import im = {.job = job, .source = {.fd = -1}, .architecture = job_string(job, "architecture")};
        int r, unpacked = 0;

        im.output = job_need_fd(job, "output", f);
        if (im.output < 0)
                return im.output;
        im.archive = job_fd(job, "archive");
        if (!im.architecture || !architecture_oci(im.architecture))
                return failf(f, -EINVAL, FAILURE_SPEC, "architecture \"%s\" is not known", im.architecture ?: "");
        r = check_output(im.output, f);
        if (r >= 0 && im.archive >= 0)
                r = check_output(im.archive, f);
        if (r >= 0)
                r = limits_parse(json_object_get(job->launch, "limits"), &im.limits, f);
        if (r >= 0)
                r = source_open(job, &im.limits, &im.source, f);
        if (r >= 0)
                r = unpacked = source_decompress(job, &im.source, &im.limits, f);
        if (r >= 0)
                r = import_source(&im, unpacked > 0, ret_done, f);
        source_clear(&im.source);
        return r;
}

int import_check_platform(struct import *im, const char *os, const char *architecture, struct failure *f) {
        const char *want = architecture_oci(im->architecture);

        if (os && strcmp(os, "linux") != 0)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the image is for %.50s, not for linux", os);
        if (architecture && strcmp(architecture, want) != 0)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the image is for linux/%.50s, not for linux/%s",
                        architecture, want);
        return 0;
}

static int merge_all(struct merge *m, const GArray *layers, uint64_t *ret_size, struct failure *f) {
        int r = 0;

        for (guint i = 0; i < layers->len; i++)
                m->blob_total += g_array_index(layers, struct layer, i).extent.size;
        for (guint i = 0; r >= 0 && i < layers->len; i++)
                r = layer_merge(m, &g_array_index(layers, struct layer, i), i, f);
        if (r >= 0)
                r = merge_settle(m, f);
        if (r >= 0 && m->dropped_xattrs > 0)
                job_log(m->job, LOG_INFO,
                        "left out %" G_GUINT64_FORMAT " extended attributes that are neither user.* nor "
                        "security.capability",
                        m->dropped_xattrs);
        return r >= 0 ? image_writer_finish(m->writer, m->tree, ret_size, f) : r;
}

int import_layers(struct import *im, const GArray *layers, uint64_t *ret_size, struct failure *f) {
        struct merge m = {.job = im->job, .source = &im->source, .limits = &im->limits};
        int r;

        r = image_writer_new(im->output, &m.writer, f);
        if (r < 0)
                return r;
        m.tree = tree_new(im->limits.entries);
        r = merge_all(&m, layers, ret_size, f);
        image_writer_free(m.writer);
        tree_free(m.tree);
        return r;
}
