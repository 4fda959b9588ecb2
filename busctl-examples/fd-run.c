/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-fd run: RunVM with what must not, or cannot, be on a command line. */
#include "fd-run.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/fd.h"

#define SERVICE "org.mcp.Runtime1"
#define ROOT "/org/mcp/Runtime1"
#define ITEMS_MAX 64U
#define VALUE_MAX 65536U
#define _cleanup_(f) __attribute__((cleanup(f)))

struct run {
        const char *credentials[ITEMS_MAX]; /* NAME=FILE */
        size_t n_credentials;
        const char *archives[ITEMS_MAX]; /* GUEST=FILE */
        size_t n_archives;
        const char *name, *image;
        char **command; /* ends with NULL */
};

static int append_credential(sd_bus_message *m, const char *item) {
        _cleanup_close_ int fd = -1;
        char name[256] = "", *value = NULL;
        const char *equals = strchr(item, '=');
        size_t size;
        int r;

        if (!equals || (size_t) (equals - item) >= sizeof name)
                return -EINVAL;
        memcpy(name, item, (size_t) (equals - item));
        fd = open(equals + 1, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : read_file(fd, VALUE_MAX, &value, &size);
        if (r < 0) {
                (void) fprintf(stderr, "mcp-fd: %s: %s\n", equals + 1, strerror(-r));
                return r;
        }
        r = sd_bus_message_open_container(m, 'e', "say");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', value, size);
        explicit_bzero(value, size);
        free(value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_credentials(sd_bus_message *m, const struct run *run) {
        int r;

        (void) sd_bus_message_sensitive(m);
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Credentials");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{say}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{say}");
        for (size_t i = 0; i < run->n_credentials && r >= 0; i++)
                r = append_credential(m, run->credentials[i]);
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_archive(sd_bus_message *m, const char *item) {
        _cleanup_close_ int fd = -1;
        const char *equals = strchr(item, '=');
        char *path = strndup(item, (size_t) (equals - item));
        int r;

        fd = strcmp(equals + 1, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                          : open(equals + 1, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                (void) fprintf(stderr, "mcp-fd: %s: %s\n", equals + 1, strerror(errno));
        r = fd < 0 ? -errno : sd_bus_message_append(m, "(sh)", path, fd);
        free(path);
        return r;
}

static int append_archives(sd_bus_message *m, const struct run *run) {
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "VolumeArchives");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a(sh)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sh)");
        for (size_t i = 0; i < run->n_archives && r >= 0; i++)
                r = append_archive(m, run->archives[i]);
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_command(sd_bus_message *m, char **command) {
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Command");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, command);
        for (int i = 0; i < 2 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_run(sd_bus_message *m, const struct run *run) {
        int r = sd_bus_message_append(m, "s", run->name);

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Image", "s", run->image);
        if (r >= 0 && run->n_credentials > 0)
                r = append_credentials(m, run);
        if (r >= 0 && run->n_archives > 0)
                r = append_archives(m, run);
        if (r >= 0 && *run->command)
                r = append_command(m, run->command);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int tell(const char *name, const char *text) {
        if (name && strncmp(name, SERVICE ".Error.", strlen(SERVICE ".Error.")) == 0)
                name += strlen(SERVICE ".Error.");
        (void) fprintf(stderr, "mcp-fd: %s: %s\n", name ? name : "failed", text ? text : "");
        return EXIT_FAILURE;
}

static int wait_for(sd_bus *bus, const char *job) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        const char *result, *name, *text;
        int r = sd_bus_message_new_method_call(bus, &call, SERVICE, job, SERVICE ".Job", "Wait");

        if (r >= 0)
                r = sd_bus_call(bus, call, UINT64_MAX, &error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "sss", &result, &name, &text);
        if (r < 0)
                return tell(error.name, error.message ? error.message : strerror(-r));
        return strcmp(result, "done") == 0 ? EXIT_SUCCESS : tell(name, text);
}

static bool parse(int argc, char *argv[], struct run *run) {
        static const struct option longs[] = {
                {"credential", required_argument, NULL, 'c'}, {"archive", required_argument, NULL, 'a'}, {0}};
        int c;

        while ((c = getopt_long(argc, argv, "+c:a:", longs, NULL)) != -1) {
                if (c == '?' || !strchr(optarg, '=') || run->n_credentials == ITEMS_MAX || run->n_archives == ITEMS_MAX)
                        return false;
                if (c == 'c')
                        run->credentials[run->n_credentials++] = optarg;
                else
                        run->archives[run->n_archives++] = optarg;
        }
        if (argc - optind < 2)
                return false;
        run->name = argv[optind];
        run->image = argv[optind + 1];
        run->command = argv + optind + 2;
        return true;
}

int fd_run(sd_bus *bus, int argc, char *argv[]) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        struct run run = {0};
        const char *job;
        int r;

        if (!parse(argc, argv, &run))
                return 2;
        r = sd_bus_message_new_method_call(bus, &call, SERVICE, ROOT, SERVICE ".Manager", "RunVM");
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(call, true);
        if (r >= 0)
                r = append_run(call, &run);
        if (r >= 0)
                r = sd_bus_call(bus, call, UINT64_MAX, &error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "ouo", NULL, NULL, &job);
        if (r < 0)
                return tell(error.name, error.message ? error.message : strerror(-r));
        return wait_for(bus, job);
}
