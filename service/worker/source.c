/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening, spooling and unpacking what an import reads from. */
#include "worker/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/confined-open.h"
#include "shared/fd.h"
#include "worker/archive-util.h"

#define SPOOL_CHUNK (256U * 1024U)

void source_clear(struct source *s) {
        s->fd = close_fd(s->fd);
        s->size = 0;
}

int source_read(const struct source *s, uint64_t offset, void *buf, size_t len) {
        char *p = buf;

        while (len > 0) {
                ssize_t n = pread(s->fd, p, len, (off_t) offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -ENODATA;
                p += n;
                len -= (size_t) n;
                offset += (uint64_t) n;
        }
        return 0;
}

int source_scratch_file(void) {
        static const char *const places[] = {"/var/tmp", "/tmp"};
        int fd;

        for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
                fd = open(places[i], O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
                if (fd >= 0)
                        return fd;
        }
        fd = memfd_create("spool", MFD_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int too_large(const struct limits *limits, struct failure *f) {
        return failf(f, -E2BIG, FAILURE_LIMIT, "the image is larger than %" PRIu64 " bytes (limit \"bytes\")",
                limits->bytes);
}

/* A pipe or socket cannot be read twice, and layers are read from the last to the first. */
static int spool(struct job *job, int fd, const struct limits *limits, struct source *ret, struct failure *f) {
        g_autofree char *buf = g_malloc(SPOOL_CHUNK);
        _cleanup_close_ int out = source_scratch_file();
        uint64_t size = 0;

        if (out < 0)
                return fail_errno(f, out, "making a spool file");
        for (;;) {
                ssize_t n = read(fd, buf, SPOOL_CHUNK);
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return fail_errno(f, -errno, "reading the image");
                if (n == 0)
                        break;
                size += (uint64_t) n;
                if (size > limits->bytes)
                        return too_large(limits, f);
                r = write_all(out, buf, (size_t) n);
                if (r < 0)
                        return fail_errno(f, r, "spooling the image");
                job_progress(job, 0, "receive");
        }
        *ret = (struct source){.fd = take_fd(&out), .size = size};
        return 0;
}

int source_open_path(const json_t *roots, const char *path, int flags, struct failure *f) {
        g_autoptr(GString) names = g_string_new(NULL);
        size_t i;
        json_t *root;
        int r = -EXDEV;

        json_array_foreach((json_t *) roots, i, root) {
                int fd;

                if (!json_is_string(root))
                        return failf(f, -EINVAL, FAILURE_SPEC, "roots must be an array of strings");
                g_string_append_printf(names, "%s%s", names->len > 0 ? ", " : "", json_string_value(root));
                fd = confined_open(json_string_value(root), path, flags);
                if (fd >= 0)
                        return fd;
                if (r == -EXDEV)
                        r = fd;
        }
        if (r == -EXDEV)
                return failf(f, r, FAILURE_SPEC, "path %s is not beneath an allowed root (%s)", path,
                        names->len > 0 ? names->str : "none is allowed");
        if (r == -ELOOP || r == -ENOTDIR)
                return failf(f, r, FAILURE_SPEC,
                        "path %s beneath the allowed roots (%s) must not go through a symbolic link or file", path,
                        names->str);
        if (failure_is_hosts(r))
                return fail_errno(f, r, path);
        return failf(
                f, r, FAILURE_SPEC, "path %s beneath the allowed roots (%s): %s", path, names->str, g_strerror(-r));
}

int source_open_fd(struct job *job, int fd, const struct limits *limits, struct source *ret, struct failure *f) {
        struct stat st;
        int copy;

        if (fstat(fd, &st) < 0)
                return fail_errno(f, -errno, "looking at the source");
        if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
                return spool(job, fd, limits, ret, f);
        if (!S_ISREG(st.st_mode))
                return failf(f, -EINVAL, FAILURE_UNSUPPORTED, "the source is not a regular file, pipe or socket");
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return fail_errno(f, -errno, "keeping the source open");
        *ret = (struct source){.fd = copy, .size = (uint64_t) st.st_size};
        return 0;
}

int source_open(struct job *job, const struct limits *limits, struct source *ret, struct failure *f) {
        const char *path = job_string(job, "path");
        _cleanup_close_ int opened = -1;
        struct stat st;
        int fd;

        fd = job_fd(job, "source");
        if (fd >= 0 && path)
                return failf(f, -EINVAL, FAILURE_SPEC, "the job has both a source descriptor and a path");
        if (fd < 0 && !path)
                return failf(f, -EINVAL, FAILURE_SPEC, "the job has neither a source descriptor nor a path");
        if (!path)
                return source_open_fd(job, fd, limits, ret, f);
        opened = source_open_path(json_object_get(job->launch, "roots"), path, O_RDONLY | O_NONBLOCK | O_NOCTTY, f);
        if (opened < 0)
                return opened;
        if (fstat(opened, &st) < 0)
                return fail_errno(f, -errno, "looking at the image");
        if (!S_ISREG(st.st_mode))
                return failf(f, -EINVAL, FAILURE_UNSUPPORTED, "%s is not a regular file", path);
        *ret = (struct source){.fd = take_fd(&opened), .size = (uint64_t) st.st_size};
        return 0;
}

int source_open_stream(struct job *job, struct failure *f) {
        const char *path = job_string(job, "path");
        _cleanup_close_ int fd = -1;
        struct stat st;

        if ((job_fd(job, "source") >= 0) == (path != NULL))
                return failf(f, -EINVAL, FAILURE_SPEC, "the job needs a source descriptor or a path");
        fd = path ? source_open_path(json_object_get(job->launch, "roots"), path, O_RDONLY | O_NONBLOCK | O_NOCTTY, f)
                  : fcntl(job_fd(job, "source"), F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return path ? fd : fail_errno(f, -errno, "keeping the archive open");
        if (fstat(fd, &st) < 0)
                return fail_errno(f, -errno, "looking at the archive");
        if (!S_ISREG(st.st_mode) && (path || !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))))
                return failf(f, -EINVAL, FAILURE_UNSUPPORTED, "%s is not a regular file%s", path ? path : "the source",
                        path ? "" : ", pipe or socket");
        return take_fd(&fd);
}

#define MAGIC_MAX 5U

/* Returns 1 or 0, or a negative errno. */
static int is_compressed(const struct source *s) {
        static const char *const magics[] = {"\x1f\x8b", "\x28\xb5\x2f\xfd",
                "\xfd\x37zXZ",
                "BZh"};
        char head[MAGIC_MAX] = "";
        int r = source_read(s, 0, head, (size_t) MIN(s->size, MAGIC_MAX));

        for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(magics); i++)
                if (memcmp(head, magics[i], strlen(magics[i])) == 0)
                        return 1;
        return r < 0 ? r : 0;
}

static int unpack(struct job *job, struct archive *a, const struct limits *limits, int out, uint64_t *ret_size,
        struct failure *f) {
        uint64_t size = 0;

        for (;;) {
                const void *block;
                size_t len;
                la_int64_t offset;
                int r = archive_read_data_block(a, &block, &len, &offset);

                if (r == ARCHIVE_EOF)
                        break;
                if (r < ARCHIVE_WARN)
                        return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the compressed image is damaged: %s",
                                archive_error_string(a));
                size += len;
                if (size > limits->bytes)
                        return too_large(limits, f);
                r = write_all(out, block, len);
                if (r < 0)
                        return fail_errno(f, r, "unpacking the image");
                job_progress(job, 0, "unpack");
        }
        *ret_size = size;
        return 0;
}

/* Returns the file that holds it, and its size. */
static int decompress(
        struct job *job, struct archive_input *in, const struct limits *limits, uint64_t *ret_size, struct failure *f) {
        g_autoptr(archive_reader) a = archive_util_raw();
        _cleanup_close_ int out = -1;
        struct archive_entry *entry;
        uint64_t size = 0;
        bool empty;
        int r;

        if (lseek(in->fd, 0, SEEK_SET) < 0)
                return fail_errno(f, -errno, "rewinding the image");
        if (!a || archive_input_open(in, a) != ARCHIVE_OK)
                return failf(f, -EIO, FAILURE_OTHER, "starting to decompress the image");
        r = archive_read_next_header(a, &entry);
        if (r < ARCHIVE_WARN)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the compressed image is damaged: %s",
                        archive_error_string(a));
        empty = r == ARCHIVE_EOF;
        if (!empty && archive_filter_code(a, 0) == ARCHIVE_FILTER_NONE)
                return failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "the compressed image is damaged at its beginning");
        out = source_scratch_file();
        if (out < 0)
                return fail_errno(f, out, "making a spool file");
        r = empty ? 0 : unpack(job, a, limits, out, &size, f);
        if (r < 0)
                return r;
        *ret_size = size;
        return take_fd(&out);
}

int source_decompress(struct job *job, struct source *s, const struct limits *limits, struct failure *f) {
        struct archive_input in = {.fd = s->fd};
        uint64_t size = 0;
        int r = is_compressed(s);

        if (r <= 0)
                return r < 0 ? fail_errno(f, r, "reading the image") : 0;
        r = archive_input_end(&in, decompress(job, &in, limits, &size, f), "reading the image", f);
        if (r < 0)
                return r;
        source_clear(s);
        *s = (struct source){.fd = r, .size = size};
        return 1;
}
