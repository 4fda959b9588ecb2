/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * For benchmarks on the installed service, as root: calls, connections of another user, a machine that is only defined,
 * and a polkit rule that says yes to that user.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "shared/fd.h"
#include "table.h"

#define NAME "org.mcp.Runtime1"
#define ROOT "/org/mcp/Runtime1"
#define MANAGER NAME ".Manager"
#define VM NAME ".VM"
#define VM_NAME "mcp-bench"
#define VM_PATH ROOT "/vm/mcp_2dbench"
#define IMAGE "mcp-bench:1"
#define STRANGER 65534U
#define RULES "/etc/polkit-1/rules.d/00-mcp-bench.rules"
#define ACTION NAME ".manage-vms"
#define PATIENCE_USEC (60 * 1000000ULL)
#define SKIPPED 77

#define _cleanup_message_ __attribute__((cleanup(sd_bus_message_unrefp)))
#define _cleanup_error_ __attribute__((cleanup(sd_bus_error_free)))
#define _cleanup_bus_ __attribute__((cleanup(sd_bus_flush_close_unrefp)))

static inline __attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vfprintf(stderr, format, ap);
        va_end(ap);
        (void) fputc('\n', stderr);
        exit(EXIT_FAILURE);
}

static inline int skip(const char *why) {
        (void) printf("skipped: %s\n", why);
        return SKIPPED;
}

static inline sd_bus *connect_as(uid_t uid) {
        const char *name;
        sd_bus *bus = NULL;

        if (seteuid(uid) < 0)
                die("seteuid: %s", strerror(errno));
        if (sd_bus_open_system(&bus) < 0 || sd_bus_get_unique_name(bus, &name) < 0)
                die("user %u has no connection to the bus", uid);
        if (seteuid(0) < 0)
                die("seteuid: %s", strerror(errno));
        return bus;
}

static inline sd_bus_message *new_call(
        sd_bus *bus, const char *name, const char *path, const char *interface, const char *member) {
        sd_bus_message *m = NULL;

        if (sd_bus_message_new_method_call(bus, &m, name, path, interface, member) < 0)
                die("no memory");
        return m;
}

/* The answer to a call, which is consumed; NULL where it is the error that may come. */
static inline sd_bus_message *finish_call(sd_bus *bus, sd_bus_message *m, const char *may_fail) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_message_ sd_bus_message *call = m;
        sd_bus_message *reply = NULL;
        int r = sd_bus_call(bus, call, PATIENCE_USEC, &error, &reply);

        if (r < 0 && !(may_fail && sd_bus_error_has_name(&error, may_fail)))
                die("%s: %s", sd_bus_message_get_member(call), error.message ?: strerror(-r));
        return reply;
}

static inline void finish(sd_bus *bus, sd_bus_message *m, const char *may_fail) {
        sd_bus_message_unref(finish_call(bus, m, may_fail));
}

static inline void wait_job(sd_bus *bus, sd_bus_message *begun) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *job, *result, *error, *text;
        uint32_t id;

        if (!begun)
                return;
        if (sd_bus_message_read(begun, "uo", &id, &job) < 0)
                die("no job in an answer");
        reply = finish_call(bus, new_call(bus, NAME, job, NAME ".Job", "Wait"), NULL);
        if (sd_bus_message_read(reply, "sss", &result, &error, &text) < 0 || strcmp(result, "done") != 0)
                die("%s: %s", error, text);
}

static inline void remove_vm(sd_bus *bus) {
        _cleanup_message_ sd_bus_message *m = new_call(bus, NAME, VM_PATH, VM, "Remove"), *reply = NULL;

        (void) sd_bus_message_append(m, "a{sv}", 0);
        if (sd_bus_call(bus, m, PATIENCE_USEC, NULL, &reply) >= 0)
                wait_job(bus, reply);
}

/* Root's machine, defined and not started. */
static inline void define_vm(sd_bus *bus) {
        sd_bus_message *import = new_call(bus, NAME, ROOT, MANAGER, "ImportImage");
        sd_bus_message *create = new_call(bus, NAME, ROOT, MANAGER, "CreateVM");
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_close_ int fd = open("/bin/busybox", O_RDONLY | O_CLOEXEC);

        remove_vm(bus);
        if (fd < 0 || sd_bus_message_append(import, "sha{sv}", IMAGE, fd, 0) < 0)
                die("/bin/busybox: %s", strerror(errno));
        reply = finish_call(bus, import, NULL);
        wait_job(bus, reply);
        if (sd_bus_message_append(create, "sa{sv}", VM_NAME, 1, "Image", "s", IMAGE) < 0)
                die("no memory");
        finish(bus, create, NULL);
}

static inline void forget_vm(sd_bus *bus) {
        sd_bus_message *get = new_call(bus, NAME, ROOT, MANAGER, "GetImage"), *m;
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *path;

        remove_vm(bus);
        (void) sd_bus_message_append(get, "s", IMAGE);
        reply = finish_call(bus, get, NAME ".Error.NoSuchImage");
        if (!reply || sd_bus_message_read(reply, "o", &path) < 0)
                return;
        m = new_call(bus, NAME, path, NAME ".Image", "Remove");
        (void) sd_bus_message_append(m, "a{sv}", 0);
        finish(bus, m, NULL);
}

static inline void write_file(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text) || fchmod(fd, 0644) < 0)
                die("%s: %s", path, strerror(errno));
}

/* What the service asks, as root may ask it of anybody. */
static inline sd_bus_message *new_question(sd_bus *bus, const char *subject) {
        sd_bus_message *m = new_call(bus, "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority",
                "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");

        if (sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s", subject, ACTION, 5, "verb",
                    "GetSpec", "vm", VM_NAME, "owner", "0", "image", "", "path", "", 0, "") < 0)
                die("no memory");
        return m;
}

static inline bool is_granted(sd_bus_message *reply) {
        int granted = 0;

        return sd_bus_message_enter_container(reply, 'r', "bba{ss}") >= 0 &&
               sd_bus_message_read(reply, "b", &granted) >= 0 && granted;
}

/* polkitd reads its rules anew by itself, a moment after they have changed. */
static inline void allow_stranger(sd_bus *bus, const char *subject) {
        write_file(RULES, "polkit.addRule(function(action, subject) {\n"
                          "    if (action.id == \"" ACTION "\" && subject.user == \"nobody\")\n"
                          "        return polkit.Result.YES;\n"
                          "});\n");
        for (unsigned i = 0; i < 100; i++) {
                _cleanup_message_ sd_bus_message *reply = finish_call(bus, new_question(bus, subject), NULL);

                if (is_granted(reply))
                        return;
                (void) usleep(100000);
        }
        die("polkit does not read " RULES);
}

/* NULL, or why the benchmark cannot be made here. */
static inline const char *missing(sd_bus **ret) {
        _cleanup_bus_ sd_bus *bus = NULL;

        if (geteuid() != 0)
                return "only root writes rules for polkit";
        if (access("/bin/busybox", R_OK) < 0 || access("/etc/polkit-1/rules.d", W_OK) < 0)
                return "needs polkit and /bin/busybox";
        if (sd_bus_open_system(&bus) < 0 ||
                sd_bus_call_method(bus, NAME, ROOT, "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, NULL) < 0)
                return "the service is not installed";
        *ret = bus;
        bus = NULL;
        return NULL;
}
