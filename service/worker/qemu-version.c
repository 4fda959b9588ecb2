/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks QEMU's programs for their version: they are run here, where there is nothing that they could reach. */
#include "worker/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/profile-path.h"

#define BUNDLE_FD 3
#define OUTPUT_MAX 4096U
#define RUN_USEC (30U * 1000000U)

/* The bundle's directory is descriptor BUNDLE_FD of the new process. Only async-signal-safe calls. */
__attribute__((noreturn)) static void child(char *const *argv, char *const *environment, int output, int bundle) {
        if (dup2(output, STDOUT_FILENO) < 0)
                _exit(127);
        if (bundle >= 0 && (bundle == BUNDLE_FD ? fcntl(BUNDLE_FD, F_SETFD, 0) : dup2(bundle, BUNDLE_FD)) < 0)
                _exit(127);
        (void) execve(argv[0], argv, environment);
        _exit(127);
}

/* What it prints, until it closes its output, says too much or takes too long. */
static size_t read_output(int fd, char *buf) {
        uint64_t end = now_monotonic() + RUN_USEC, now;
        size_t len = 0;

        while (len < OUTPUT_MAX - 1 && (now = now_monotonic()) < end) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                ssize_t n;

                if (poll(&p, 1, (int) ((end - now) / 1000) + 1) <= 0)
                        continue;
                n = read(fd, buf + len, OUTPUT_MAX - 1 - len);
                if (n <= 0)
                        break;
                len += (size_t) n;
        }
        buf[len] = 0;
        return len;
}

/* "QEMU emulator version 7.2.22 (Debian ...)" */
static char *find_version(const char *output) {
        static const char before[] = "QEMU emulator version ";
        const char *at = strstr(output, before);
        size_t n;

        if (!at)
                return NULL;
        at += strlen(before);
        n = strspn(at, "0123456789.abcdefghijklmnopqrstuvwxyz-+~");
        return n > 0 && n <= 64 ? g_strndup(at, n) : NULL;
}

static char *ask(char *const *argv, int bundle) {
        static char lang[] = "LANG=C.UTF-8", libraries[] = "LD_LIBRARY_PATH=/proc/self/fd/3/lib";
        char *environment[] = {lang, bundle >= 0 && !strstr(argv[0], "/lib/") ? libraries : NULL, NULL};
        char output[OUTPUT_MAX];
        int pipe_fds[2];
        pid_t pid;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return NULL;
        pid = fork();
        if (pid == 0)
                child(argv, environment, pipe_fds[1], bundle);
        (void) close_fd(pipe_fds[1]);
        if (pid > 0) {
                (void) read_output(pipe_fds[0], output);
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
        }
        (void) close_fd(pipe_fds[0]);
        return pid > 0 ? find_version(output) : NULL;
}

static char *version_of(const struct job *job, const char *program) {
        const char *loader = job_string(job, "loader") ?: "";
        int bundle = job_fd(job, "bundle");
        g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);

        if (bundle >= 0 && *loader) {
                g_ptr_array_add(argv, g_strdup_printf("/proc/self/fd/%d/%s", BUNDLE_FD, loader));
                g_ptr_array_add(argv, g_strdup("--library-path"));
                g_ptr_array_add(argv, g_strdup_printf("/proc/self/fd/%d/lib", BUNDLE_FD));
        }
        g_ptr_array_add(
                argv, bundle >= 0 ? g_strdup_printf("/proc/self/fd/%d/bin/%s", BUNDLE_FD, program) : g_strdup(program));
        g_ptr_array_add(argv, g_strdup("--version"));
        g_ptr_array_add(argv, NULL);
        return ask((char **) argv->pdata, bundle);
}

int qemu_version_run(struct job *job, json_t **ret_done, struct failure *f) {
        json_t *programs = json_object_get(job->launch, "programs"), *program, *versions = json_object();
        size_t i;

        json_array_foreach(programs, i, program) {
                g_autofree char *version = NULL;

                if (!json_is_string(program) || i >= PROFILE_BINARIES_MAX)
                        break;
                version = version_of(job, json_string_value(program));
                (void) json_object_set_new(versions, json_string_value(program), json_string(version ?: ""));
        }
        *ret_done = json_pack("{s:o}", "versions", versions);
        return *ret_done ? 0 : failf(f, -ENOMEM, FAILURE_OTHER, "out of memory");
}
