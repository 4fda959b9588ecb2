/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-tpm: becomes the swtpm of mcp-tpm@VM.service, with the two descriptors it was given. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/close_range.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

#define ARGV_MAX 64U
#define FD_PARKED 16

static int say_failed(int sock, const char *error, const char *what, int number) {
        char text[256];

        (void) snprintf(text, sizeof text, "%s: %s", what, strerror(number));
        (void) fprintf(stderr, "mcp-tpm: %s\n", text);
        (void) wire_send_new(sock, json_pack("{s:s, s:s, s:s}", "type", "failed", "error", error, "message", text));
        return EXIT_FAILURE;
}

/* Strings of the message, which lives until execve(). */
static bool read_argv(const json_t *message, char *ret[ARGV_MAX + 1]) {
        const json_t *argv = json_object_get(message, "argv");
        size_t n = json_array_size(argv);

        if (n == 0 || n > ARGV_MAX)
                return false;
        for (size_t i = 0; i < n; i++) {
                ret[i] = (char *) json_string_value(json_array_get(argv, i));
                if (!ret[i])
                        return false;
        }
        ret[n] = NULL;
        return true;
}

/* Exactly the standard descriptors and the two that argv counts on. */
static int arrange(const int *fds) {
        int high[2] = {fcntl(fds[0], F_DUPFD_CLOEXEC, FD_PARKED), fcntl(fds[1], F_DUPFD_CLOEXEC, FD_PARKED)};

        if (high[0] < 0 || high[1] < 0 || dup2(high[0], TPM_FD) < 0 || dup2(high[1], TPM_STATE_FD) < 0)
                return -errno;
        return close_range(TPM_STATE_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

static int run(int sock, const json_t *message, const int *fds, size_t n_fds) {
        static char path[] = "PATH=/usr/bin:/bin", lang[] = "LANG=C";
        static char *const environment[] = {path, lang, NULL};
        char *argv[ARGV_MAX + 1];
        int r;

        if (strcmp(wire_type(message), "launch") != 0 || n_fds != 2 || !read_argv(message, argv))
                return say_failed(sock, "Failed", "the launch message", EBADMSG);
        if (access(argv[0], X_OK) < 0)
                return say_failed(sock, "ToolMissing", argv[0], errno);
        sock = fcntl(sock, F_DUPFD_CLOEXEC, FD_PARKED);
        r = sock < 0 ? -errno : arrange(fds);
        if (r < 0)
                return say_failed(sock, "Failed", "its descriptors", -r);
        (void) wire_send_new(sock, json_pack("{s:s}", "type", "ready"));
        (void) sd_notify(0, "READY=1");
        (void) execve(argv[0], argv, environment);
        return say_failed(sock, "Failed", argv[0], errno);
}

int main(int argc, char *argv[]) {
        int fds[LAUNCH_FDS_MAX], sock, r;
        json_t *message;
        size_t n_fds;

        if (argc > 1) {
                (void) fprintf(stderr, "mcp-tpm takes no argument; it is started as mcp-tpm@VM.service\n");
                return EXIT_FAILURE;
        }
        sock = wire_connect(NULL);
        r = sock < 0 ? sock : wire_recv(sock, &message, fds, &n_fds);
        if (r <= 0) {
                (void) fprintf(stderr, "mcp-tpm: no launch message: %s\n", r < 0 ? strerror(-r) : "connection closed");
                return EXIT_FAILURE;
        }
        return strcmp(wire_type(message), "goodbye") == 0 ? EXIT_SUCCESS : run(sock, message, fds, n_fds);
}
