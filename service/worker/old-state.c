/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NAME/meta.json and ips.json of a directory become one JSON text: {"vms": {NAME: record}, "ips": {NAME: address},
 * "problems": {NAME: why it cannot be read}}. What is in them is the daemon's to judge. */
#include "worker/old-state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/confined-open.h"
#include "shared/fd.h"
#include "worker/source.h"

struct state {
        int dir;
        size_t bytes;
        json_t *vms, *problems;
};

/* A JSON object of a file; no link is followed. */
static int load(struct state *s, const char *path, size_t max, json_t **ret) {
        _cleanup_close_ int fd = confined_openat(s->dir, path, O_RDONLY | O_NONBLOCK);
        struct stat st;
        json_t *object;
        char *text = NULL;
        size_t len;
        int r = fd;

        if (r >= 0)
                r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? read_file(fd, max, &text, &len) : -EINVAL;
        if (r < 0)
                return r;
        s->bytes += len;
        object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        free(text);
        if (!json_is_object(object)) {
                json_decref(object);
                return -EBADMSG;
        }
        *ret = object;
        return 0;
}

static void take_entry(struct state *s, const char *name) {
        g_autofree char *path = g_strconcat(name, "/meta.json", NULL);
        g_autofree char *key = g_utf8_make_valid(name, -1);
        json_t *record = NULL;
        int r = load(s, path, OLD_STATE_RECORD_MAX, &record);

        if (r >= 0)
                (void) json_object_set_new(s->vms, key, record);
        else if (r != -ENOTDIR)
                (void) json_object_set_new(s->problems, key,
                        json_string(r == -EBADMSG  ? "meta.json is no JSON object"
                                    : r == -EFBIG  ? "meta.json is too large"
                                    : r == -ENOENT ? "there is no meta.json"
                                                   : g_strerror(-r)));
}

static int read_entries(struct state *s, struct failure *f) {
        int fd = fcntl(s->dir, F_DUPFD_CLOEXEC, 3);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;
        int r = 0;

        if (!d) {
                (void) close_fd(fd);
                return failf(f, -EINVAL, FAILURE_SPEC, "path is no directory");
        }
        while (r >= 0 && (e = readdir(d))) {
                if (e->d_name[0] == '.' || strcmp(e->d_name, "ips.json") == 0)
                        continue;
                take_entry(s, e->d_name);
                if (s->bytes > OLD_STATE_BYTES_MAX ||
                        json_object_size(s->vms) + json_object_size(s->problems) > OLD_STATE_VMS_MAX)
                        r = failf(f, -E2BIG, FAILURE_LIMIT, "more than %u VMs or %u bytes of records",
                                OLD_STATE_VMS_MAX, OLD_STATE_BYTES_MAX);
        }
        (void) closedir(d);
        return r;
}

/* The addresses may be missing: then the records have them, or nobody. */
static int write_out(struct state *s, int output, struct failure *f) {
        json_t *ips = NULL, *all;
        char *text;
        int r;

        if (load(s, "ips.json", OLD_STATE_BYTES_MAX, &ips) < 0)
                ips = json_object();
        all = json_pack("{s:O, s:o, s:O}", "vms", s->vms, "ips", ips, "problems", s->problems);
        text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
        json_decref(all);
        if (!text)
                return failf(f, -EBADMSG, FAILURE_SPEC, "the records hold text that is no UTF-8");
        r = write_all(output, text, strlen(text));
        free(text);
        return r < 0 ? fail_errno(f, r, "writing the records") : 0;
}

int old_state_run(struct job *job, json_t **ret_done, struct failure *f) {
        struct state s = {.vms = json_object(), .problems = json_object()};
        int output = job_need_fd(job, "output", f), r;

        s.dir = output < 0 ? output
                           : source_open_path(json_object_get(job->launch, "roots"), job_string(job, "path") ?: "",
                                     O_RDONLY | O_DIRECTORY, f);
        r = s.dir < 0 ? s.dir : read_entries(&s, f);
        if (r >= 0)
                r = write_out(&s, output, f);
        if (r >= 0)
                *ret_done = json_pack("{s:I}", "vms", (json_int_t) json_object_size(s.vms));
        json_decref(s.vms);
        json_decref(s.problems);
        (void) close_fd(s.dir);
        return r < 0 ? r : *ret_done ? 0 : -ENOMEM;
}
