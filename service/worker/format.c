/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mkfs.ext4 works on a path, and the only one there is here is the descriptor's own below /proc. */
#include "worker/format.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LABEL_MAX 16 /* bytes of an ext4 label */
#define WORDS_MAX 512

/* And not what else may keep a process from its start. */
static bool is_missing(const GError *error) {
        return g_error_matches(error, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT) ||
               g_error_matches(error, G_SPAWN_ERROR, G_SPAWN_ERROR_ACCES) ||
               g_error_matches(error, G_SPAWN_ERROR, G_SPAWN_ERROR_PERM) ||
               g_error_matches(error, G_SPAWN_ERROR, G_SPAWN_ERROR_NOEXEC);
}

static int run_mkfs(char **argv, struct failure *f) {
        g_autofree char *words = NULL;
        g_autoptr(GError) error = NULL;
        int status;

        if (!g_spawn_sync("/", argv, NULL, G_SPAWN_LEAVE_DESCRIPTORS_OPEN | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                    &words, &status, &error))
                return is_missing(error)
                               ? failf(f, -ENOENT, FAILURE_TOOL,
                                         "%s cannot be run: %s; install e2fsprogs or set MkfsExt4= in runtime.conf",
                                         argv[0], error->message)
                               : failf(f, -EIO, FAILURE_OTHER, "%s cannot be run: %s", argv[0], error->message);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (strstr(words, "No space left"))
                return failf(f, -ENOSPC, FAILURE_SPACE, "%s: %.*s", argv[0], WORDS_MAX, words);
        return failf(f, -EIO, FAILURE_OTHER, "%s: %.*s", argv[0], WORDS_MAX, words);
}

int format_run(struct job *job, json_t **ret_done, struct failure *f) {
        const char *mkfs = job_string(job, "mkfs"), *label = job_string(job, "label");
        int fd = job_need_fd(job, "disk", f), r;
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
        g_autofree char *short_label = g_strndup(label ?: "", LABEL_MAX);
        struct stat st;

        if (fd < 0)
                return fd;
        if (!mkfs || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || fcntl(fd, F_SETFD, 0) < 0)
                return failf(f, -EINVAL, FAILURE_SPEC, "a disk to format must be a regular file, and mkfs be named");
        {
                /* Nothing is left for the guest to do later: a sparse file reads as zeros. No blocks are kept for root. */
                char *argv[] = {(char *) mkfs, (char *) "-q", (char *) "-F", (char *) "-m", (char *) "0", (char *) "-E",
                        (char *) "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0", (char *) "-L", short_label, path, NULL};

                r = run_mkfs(argv, f);
        }
        if (r < 0)
                return r;
        if (fsync(fd) < 0)
                return fail_errno(f, -errno, "making the disk durable");
        *ret_done = json_pack("{s:I}", "size", (json_int_t) st.st_size);
        return *ret_done ? 0 : -ENOMEM;
}
