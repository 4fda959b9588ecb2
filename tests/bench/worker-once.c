/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the image worker once, as the daemon would, and prints how long it took and what it took at most:
 * "MICROSECONDS PEAK_KIB DIGEST".
 *   usage: worker-once WORKER import|hash FILE [OUTPUT [ARCHIVE]]
 * ARCHIVE gets what the daemon keeps for pushes. */
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

static void die(const char *what) {
        perror(what);
        exit(EXIT_FAILURE);
}

static int listen_at(const char *path) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void) snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
        if (fd < 0 || bind(fd, (struct sockaddr *) &sa, sizeof sa) < 0 || listen(fd, 1) < 0)
                die(path);
        return fd;
}

static pid_t start(const char *program, const char *socket_path) {
        pid_t pid = fork();

        if (pid < 0)
                die("fork");
        if (pid > 0)
                return pid;
        (void) setenv("MCP_LAUNCH_SOCKET", socket_path, 1);
        (void) execl(program, program, NULL);
        _exit(127);
}

static json_t *receive_end(int sock) {
        int fds[LAUNCH_FDS_MAX];
        size_t n_fds;
        json_t *m;

        for (;;) {
                if (wire_recv(sock, &m, fds, &n_fds) <= 0)
                        return NULL;
                if (strcmp(wire_type(m), "done") == 0)
                        return m;
                if (strcmp(wire_type(m), "failed") == 0) {
                        fprintf(stderr, "%s\n", json_string_value(json_object_get(m, "message")));
                        exit(EXIT_FAILURE);
                }
                json_decref(m);
        }
}

/* The launch message and its descriptors; how many. */
static size_t prepare(char **argv, int argc, json_t **ret, int fds[3]) {
        int import = strcmp(argv[2], "import") == 0;

        fds[0] = open(argv[3], O_RDONLY | O_CLOEXEC);
        if (fds[0] < 0)
                die(argv[3]);
        if (!import) {
                *ret = json_pack("{s:s, s:s, s:[s]}", "type", "launch", "op", "hash", "fds", "file");
                return 1;
        }
        fds[1] = open(argc > 4 ? argv[4] : "/dev/null", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fds[1] < 0)
                die(argv[4]);
        fds[2] = argc > 5 ? open(argv[5], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
        *ret = json_pack("{s:s, s:s, s:s, s:[s, s, s*]}", "type", "launch", "op", "import", "architecture", "x86_64", "fds",
                "source", "output", fds[2] >= 0 ? "archive" : NULL);
        return fds[2] >= 0 ? 3 : 2;
}

int main(int argc, char **argv) {
        char directory[] = "/tmp/worker-once-XXXXXX", path[64];
        int listener, sock, fds[3], ignored[LAUNCH_FDS_MAX];
        json_t *launch, *hello, *end;
        struct rusage usage;
        size_t n_fds, n;
        uint64_t begin;
        pid_t pid;

        if (argc < 4 || !mkdtemp(directory))
                return 2;
        (void) snprintf(path, sizeof path, "%s/s", directory);
        listener = listen_at(path);
        n_fds = prepare(argv, argc, &launch, fds);
        begin = now_monotonic();
        pid = start(argv[1], path);
        sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        (void) unlink(path);
        (void) rmdir(directory);
        if (sock < 0 || wire_recv(sock, &hello, ignored, &n) != 1 || wire_send(sock, launch, fds, n_fds) < 0)
                die("the worker");
        end = receive_end(sock);
        if (!end || wait4(pid, NULL, 0, &usage) != pid)
                die("the worker ended without a result");
        (void) printf("%llu %ld %s\n", (unsigned long long) (now_monotonic() - begin), usage.ru_maxrss,
                json_string_value(json_object_get(end, "digest")));
        return 0;
}
