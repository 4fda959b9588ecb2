/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory and CPU time of this process, and the last word of one that has no more of either. */
#include "worker/resources.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Complete packets, made while there is memory: a signal handler sends them. */
static char *cpu_word, *memory_word;
static int daemon_socket = -1;

#ifdef __SANITIZE_ADDRESS__ /* its shadow of all memory counts as data */
#define LIMITS_DATA 0
#else
#define LIMITS_DATA 1
#endif

static void last_word(int sig) {
        const char *word = sig == SIGXCPU ? cpu_word : memory_word;

        (void) send(daemon_socket, word, strlen(word), MSG_NOSIGNAL);
        _exit(EXIT_SUCCESS);
}

static char *make_word(const char *what, json_int_t amount, const char *unit, const char *setting) {
        g_autofree char *text =
                g_strdup_printf("the image needs more than %" JSON_INTEGER_FORMAT " %s of %s (%s= in runtime.conf)",
                        amount, unit, what, setting);
        json_t *message = json_pack("{s:s, s:s, s:s}", "type", "failed", "error", FAILURE_LIMIT, "message", text);
        char *word = json_dumps(message, JSON_COMPACT);

        json_decref(message);
        return word;
}

/* A limit that is lower already stays. */
static int lower(int resource, rlim_t soft, rlim_t hard) {
        struct rlimit now;

        if (getrlimit(resource, &now) < 0)
                return -errno;
        if (now.rlim_cur <= soft)
                return 0;
        now.rlim_cur = soft;
        now.rlim_max = MIN(now.rlim_max, hard);
        return setrlimit(resource, &now) < 0 ? -errno : 0;
}

int resources_limit(struct job *job, struct failure *f) {
        json_int_t memory = json_integer_value(json_object_get(job->launch, "memory"));
        json_int_t cpu = json_integer_value(json_object_get(job->launch, "cpu"));
        struct sigaction action = {.sa_handler = last_word};
        int r = 0;

        if (memory < 0 || cpu < 0)
                return failf(f, -EINVAL, FAILURE_SPEC, "memory and cpu must not be negative");
        daemon_socket = job->sock;
        cpu_word = make_word("CPU time", cpu, "s", "WorkerCPUSec");
        memory_word = make_word("memory", memory >> 20, "MiB", "WorkerMemoryMiB");
        if (!cpu_word || !memory_word)
                return fail_errno(f, -ENOMEM, "setting limits");
        /* GLib traps where malloc() gives it nothing. */
        (void) sigaction(SIGXCPU, &action, NULL);
        (void) sigaction(SIGTRAP, &action, NULL);
        if (cpu > 0)
                r = lower(RLIMIT_CPU, (rlim_t) cpu, (rlim_t) cpu + 1);
        if (r >= 0 && memory > 0 && LIMITS_DATA)
                r = lower(RLIMIT_DATA, (rlim_t) memory, (rlim_t) memory);
        return r < 0 ? fail_errno(f, r, "setting limits") : 0;
}
