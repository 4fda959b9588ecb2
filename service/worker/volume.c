/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way of a VM's volumes into their image. */
#include "worker/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"

#define DIRECTORY_MODE (S_IFDIR | 0555)

static int add_path(struct merge *m, const char *path, const char *place, struct failure *f) {
        _cleanup_close_ int fd =
                source_open_path(json_object_get(m->job->launch, "roots"), path, O_RDONLY | O_NONBLOCK | O_NOCTTY, f);

        return fd < 0 ? fd : volume_walk(m, fd, path, place, f);
}

/* Whatever the tar says of its own top, there is a directory. */
static int add_top(struct merge *m, unsigned layer, const char *place, struct failure *f) {
        struct tree_inode attributes = {.mode = DIRECTORY_MODE, .xattr = TREE_NO_XATTR}, *inode;
        int r = tree_add(m->tree, layer, place, &attributes, NULL, &inode);

        return r < 0 ? merge_tree_failed(m, r, place, f) : 0;
}

static int add_archive(struct merge *m, int fd, unsigned number, const char *place, struct failure *f) {
        struct source source = {.fd = -1};
        struct layer layer = {};
        int r;

        r = source_open_fd(m->job, fd, m->limits, &source, f);
        if (r >= 0) {
                layer.extent.size = source.size;
                m->source = &source;
                m->below = place;
                r = source.size > 0 ? layer_merge(m, &layer, number, f)
                                    : failf(f, -EBADMSG, FAILURE_UNSUPPORTED, "volume archive %s is empty", place);
        }
        source_clear(&source);
        m->source = NULL;
        return r >= 0 ? add_top(m, number + 1, place, f) : r;
}

static int add_all(struct merge *m, struct failure *f) {
        const json_t *paths = json_object_get(m->job->launch, "paths");
        size_t n = json_array_size(paths);
        int r = add_top(m, 0, "", f);

        for (size_t i = 0; i < n && r >= 0; i++) {
                g_autofree char *place = g_strdup_printf("%zu", i);
                const char *path = json_string_value(json_array_get(paths, i));

                r = path ? add_path(m, path, place, f)
                         : failf(f, -EINVAL, FAILURE_SPEC, "paths must be an array of strings");
        }
        for (unsigned i = 0; r >= 0; i++) {
                g_autofree char *place = g_strdup_printf("%u", i), *name = g_strdup_printf("archive%u", i);
                int fd = job_fd(m->job, name);

                if (fd < 0)
                        break;
                r = add_archive(m, fd, i, place, f);
        }
        return r;
}

int volume_run(struct job *job, json_t **ret_done, struct failure *f) {
        struct limits limits;
        struct merge m = {.job = job, .limits = &limits};
        int output = job_need_fd(job, "output", f), r;
        uint64_t size = 0;

        if (output < 0)
                return output;
        r = limits_parse(json_object_get(job->launch, "limits"), &limits, f);
        if (r >= 0)
                r = image_writer_new(output, &m.writer, f);
        if (r < 0)
                return r;
        m.tree = tree_new(limits.entries);
        r = add_all(&m, f);
        if (r >= 0)
                r = merge_settle(&m, f);
        if (r >= 0)
                r = image_writer_finish(m.writer, m.tree, &size, f);
        image_writer_free(m.writer);
        tree_free(m.tree);
        if (r < 0)
                return r;
        *ret_done = json_pack("{s:I}", "size", (json_int_t) size);
        return *ret_done ? 0 : -ENOMEM;
}
