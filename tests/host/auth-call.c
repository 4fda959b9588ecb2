/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * auth-call: makes the calls that it reads, a line and a connection to the system bus each, in busctl's notation without
 * quotes: PATH INTERFACE METHOD [SIGNATURE ARGUMENT...]; an `h` is the path of a file, or `|TEXT`, a pipe with that text. One line answers each:
 *     UNIQUE-NAME INTERFACE.METHOD ok|ERROR-NAME
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "shared/fd.h"

#define SERVICE "org.mcp.Runtime1"
#define PATIENCE_USEC (60 * 1000000ULL)

/* The words of the line that are left. */
typedef struct Words {
        char *state, *next;
} Words;

static const char *take(Words *w) {
        const char *word = w->next;

        w->next = strtok_r(NULL, " \n", &w->state);
        if (!word) {
                (void) fprintf(stderr, "auth-call: a line ends too early\n");
                exit(EXIT_FAILURE);
        }
        return word;
}

/* Short enough for the pipe. */
static int pipe_with(const char *text) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -1;
        (void) write_all(fds[1], text, strlen(text));
        (void) close_fd(fds[1]);
        return fds[0];
}

static int append_basic(sd_bus_message *m, char type, const char *word) {
        uint32_t u = (uint32_t) strtoul(word, NULL, 10);
        uint64_t t = strtoull(word, NULL, 10);
        _cleanup_close_ int fd = -1;
        int b = strcmp(word, "true") == 0;

        switch (type) {
        case 's':
        case 'o':
                return sd_bus_message_append_basic(m, type, word);
        case 'u':
                return sd_bus_message_append_basic(m, type, &u);
        case 't':
                return sd_bus_message_append_basic(m, type, &t);
        case 'b':
                return sd_bus_message_append_basic(m, type, &b);
        case 'h':
                fd = *word == '|' ? pipe_with(word + 1) : open(word, O_RDONLY | O_CLOEXEC);
                return fd < 0 ? -errno : sd_bus_message_append_basic(m, type, &fd);
        default:
                return -EINVAL;
        }
}

/* type: "s" or "o" */
static int append_array(sd_bus_message *m, const char *type, Words *w) {
        unsigned long n = strtoul(take(w), NULL, 10);
        int r = sd_bus_message_open_container(m, 'a', type);

        for (; n > 0 && r >= 0; n--)
                r = append_basic(m, *type, take(w));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_entry(sd_bus_message *m, Words *w) {
        const char *type;
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = append_basic(m, 's', take(w));
        type = take(w);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', type);
        if (r >= 0)
                r = strcmp(type, "as") == 0 ? append_array(m, "s", w) : append_basic(m, *type, take(w));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_dictionary(sd_bus_message *m, Words *w) {
        unsigned long n = strtoul(take(w), NULL, 10);
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (; n > 0 && r >= 0; n--)
                r = append_entry(m, w);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_arguments(sd_bus_message *m, Words *w) {
        const char *signature = w->next ? take(w) : "";
        int r = 0;

        while (*signature && r >= 0)
                if (strncmp(signature, "a{sv}", 5) == 0) {
                        r = append_dictionary(m, w);
                        signature += 5;
                } else if (strncmp(signature, "ao", 2) == 0) {
                        r = append_array(m, "o", w);
                        signature += 2;
                } else
                        r = append_basic(m, *signature++, take(w));
        return r;
}

static int make_call(char *line) {
        __attribute__((cleanup(sd_bus_flush_close_unrefp))) sd_bus *bus = NULL;
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *m = NULL, *reply = NULL;
        __attribute__((cleanup(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *path, *kind, *method, *self;
        char interface[256];
        Words w = {};
        int r;

        w.next = strtok_r(line, " \n", &w.state);
        path = take(&w);
        kind = take(&w);
        method = take(&w);
        (void) snprintf(interface, sizeof interface, SERVICE ".%s", kind);
        r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_message_new_method_call(bus, &m, SERVICE, path, interface, method);
        if (r >= 0)
                r = append_arguments(m, &w);
        if (r < 0)
                return r;
        r = sd_bus_call(bus, m, PATIENCE_USEC, &error, &reply);
        if (sd_bus_get_unique_name(bus, &self) < 0)
                return -ENOTCONN;
        (void) printf("%s %s.%s %s\n", self, kind, method, r >= 0 ? "ok" : error.name);
        (void) fflush(stdout);
        return 0;
}

int main(void) {
        char *line = NULL;
        size_t size = 0;
        int r = 0;

        while (r >= 0 && getline(&line, &size, stdin) > 0)
                r = make_call(line); /* -EINVAL: a line that is none */
        free(line);
        if (r < 0)
                (void) fprintf(stderr, "auth-call: %s\n", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
