/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-fd: the calls of org.mcp.Runtime1 that carry a descriptor, which busctl(1) cannot make: an import from any file
 * or pipe, a VM's log as a stream, its console and display, a VM with secrets and archives. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <termios.h>
#include <unistd.h>

#include "fd-display.h"
#include "fd-run.h"
#include "shared/fd.h"

#define SERVICE "org.mcp.Runtime1"
#define ROOT "/org/mcp/Runtime1"
#define FOREVER UINT64_MAX
#define _cleanup_(f) __attribute__((cleanup(f)))

static const char usage[] =
        "usage: mcp-fd import REFERENCE FILE    an OCI or docker archive, or one ELF program; - is standard input\n"
        "       mcp-fd import-profile NAME FILE a tar with a build of QEMU for that profile; - is standard input\n"
        "       mcp-fd login REGISTRY USER      the password is read from the terminal, or from standard input\n"
        "       mcp-fd log [OPTION...] VM       the VM's console log on standard output\n"
        "       mcp-fd run [OPTION...] VM IMAGE [COMMAND...]\n"
        "                                       make and start a VM\n"
        "       mcp-fd console VM               see and use the VM's console; Ctrl-] leaves it\n"
        "       mcp-fd view VM                  see it only, as up to eight may at a time\n"
        "       mcp-fd display VM               the VM's display, for a VNC viewer on standard input and output\n"
        "\n"
        "  -c, --credential NAME=FILE   the file's content for the guest's program, in $CREDENTIALS_DIRECTORY\n"
        "  -a, --archive GUEST=TAR      the tar's files at that path of the guest, read-only; - is standard input\n"
        "\n"
        "  -f, --follow       go on with new lines until this boot of the VM ends\n"
        "  -n, --tail N       only the last N lines\n"
        "  -b, --boot N       only lines of its Nth boot\n"
        "  -s, --since TIME   only lines since then, in microseconds since 1970\n"
        "  -t, --timestamps   begin each line with its time, in microseconds\n";

struct import {
        sd_bus *bus;
        sd_event *event;
        char *job;
        bool tty;
};

struct log_options {
        bool by_tail, by_boot, by_since, follow, timestamps;
        uint64_t tail, boot, since;
};

/* The error's name without our prefix, and its sentence. Returns the exit status. */
static int say(const sd_bus_error *error, int r) {
        const char *name = error && error->name ? error->name : NULL;

        if (name && strncmp(name, SERVICE ".Error.", strlen(SERVICE ".Error.")) == 0)
                name += strlen(SERVICE ".Error.");
        if (name)
                (void) fprintf(stderr, "mcp-fd: %s: %s\n", name, error->message ? error->message : "");
        else
                (void) fprintf(stderr, "mcp-fd: %s\n", strerror(-r));
        return EXIT_FAILURE;
}

static bool parse_number(const char *option, const char *text, uint64_t max, uint64_t *ret) {
        char *end;
        unsigned long long n;

        errno = 0;
        n = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || *end || errno || n > max) {
                (void) fprintf(stderr, "mcp-fd: %s takes a number, not '%s'\n", option, text);
                return false;
        }
        *ret = n;
        return true;
}

/* A call that polkit may ask the user about. */
static int new_call(sd_bus *bus, const char *path, const char *interface, const char *method, sd_bus_message **ret) {
        int r = sd_bus_message_new_method_call(bus, ret, SERVICE, path, interface, method);

        return r < 0 ? r : sd_bus_message_set_allow_interactive_authorization(*ret, true);
}

/* ---- import ---------------------------------------------------------------------------------------------------- */

static int on_wait(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        struct import *import = userdata;
        const char *result = "", *name = "", *message = "";
        int r = sd_bus_message_read(m, "sss", &result, &name, &message);

        if (import->tty)
                (void) fputs("\r\033[K", stderr);
        if (sd_bus_message_is_method_error(m, NULL))
                return sd_event_exit(import->event, say(sd_bus_message_get_error(m), -EIO));
        if (r < 0)
                return sd_event_exit(import->event, say(NULL, r));
        if (strcmp(result, "done") == 0) {
                (void) fprintf(stderr, "mcp-fd: done\n");
                return sd_event_exit(import->event, EXIT_SUCCESS);
        }
        return sd_event_exit(import->event, say(&SD_BUS_ERROR_MAKE_CONST(name, message), -EIO));
}

/* One changed property; *progress and *stage stay where it is another one. */
static int read_change(sd_bus_message *m, double *progress, const char **stage) {
        const char *name, *type;
        int r = sd_bus_message_read(m, "s", &name);

        if (r >= 0 && strcmp(name, "Progress") == 0)
                r = sd_bus_message_read(m, "v", "d", progress);
        else if (r >= 0 && strcmp(name, "Stage") == 0)
                r = sd_bus_message_read(m, "v", "s", stage);
        else if (r >= 0 && (r = sd_bus_message_peek_type(m, NULL, &type)) >= 0)
                r = sd_bus_message_skip(m, "v");
        return r;
}

static int on_changes(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const struct import *import = userdata;
        const char *interface, *stage = NULL;
        double progress = -1;

        if (sd_bus_message_read(m, "s", &interface) < 0 || sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
                return 0;
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0)
                if (read_change(m, &progress, &stage) < 0 || sd_bus_message_exit_container(m) < 0)
                        return 0;
        if (import->tty) {
                if (progress >= 0)
                        (void) fprintf(stderr, "\r\033[K%3.0f %% %s", progress * 100, stage ? stage : "");
        } else if (stage && *stage)
                (void) fprintf(stderr, "mcp-fd: %s\n", stage);
        return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct import *import = userdata;

        /* The job ends as `canceled`, and Wait() says so. */
        (void) sd_bus_call_method_async(
                import->bus, NULL, SERVICE, import->job, SERVICE ".Job", "Cancel", NULL, NULL, NULL);
        return 0;
}

static int open_source(const char *file) {
        int fd = strcmp(file, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(file, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                (void) fprintf(stderr, "mcp-fd: cannot open %s: %s\n", file, strerror(errno));
        return fd;
}

/* Starts the job and remembers its path. The error is told. */
static int begin_import(struct import *import, const char *method, const char *reference, int fd) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
        const char *job;
        int r = new_call(import->bus, ROOT, SERVICE ".Manager", method, &call);

        if (r >= 0)
                r = sd_bus_message_append(call, "sha{sv}", reference, fd, 0);
        if (r >= 0)
                r = sd_bus_call(import->bus, call, FOREVER, &error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "uo", NULL, &job);
        if (r < 0) {
                (void) say(&error, r);
                return r;
        }
        import->job = strdup(job);
        return import->job ? 0 : -ENOMEM;
}

static int await_import(struct import *import) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r = sd_event_default(&import->event);

        if (r >= 0)
                r = sd_bus_attach_event(import->bus, import->event, 0);
        if (r >= 0)
                r = sd_bus_match_signal_async(import->bus, NULL, SERVICE, import->job,
                        "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changes, NULL, import);
        if (r >= 0)
                r = sd_event_add_signal(import->event, NULL, SIGINT, on_signal, import);
        if (r >= 0)
                r = sd_event_add_signal(import->event, NULL, SIGTERM, on_signal, import);
        if (r >= 0)
                r = new_call(import->bus, import->job, SERVICE ".Job", "Wait", &call);
        if (r >= 0)
                r = sd_bus_call_async(import->bus, NULL, call, on_wait, import, FOREVER);
        return r < 0 ? say(NULL, r) : sd_event_loop(import->event);
}

static int import_file(sd_bus *bus, const char *method, const char *reference, const char *file) {
        struct import import = {.bus = bus, .tty = isatty(STDERR_FILENO)};
        _cleanup_close_ int fd = open_source(file);
        sigset_t signals;
        int status = EXIT_FAILURE;

        if (fd < 0)
                return EXIT_FAILURE;
        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGTERM);
        if (begin_import(&import, method, reference, fd) >= 0) {
                (void) sigprocmask(SIG_BLOCK, &signals, NULL);
                status = await_import(&import);
        }
        (void) sd_bus_detach_event(bus);
        (void) sd_event_unref(import.event);
        free(import.job);
        return status;
}

/* ---- login ----------------------------------------------------------------------------------------------------- */

#define PASSWORD_MAX 4096

/* One line without its echo where it is a terminal, else all that comes. Returns its length, or a negative errno. */
static ssize_t read_password(char *buf, size_t size) {
        struct termios before, quiet;
        bool tty = tcgetattr(STDIN_FILENO, &before) == 0;
        size_t len = 0;
        ssize_t n;

        if (tty) {
                quiet = before;
                quiet.c_lflag &= ~(tcflag_t) ECHO;
                (void) fputs("password: ", stderr);
                (void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        }
        while (len < size && (n = read(STDIN_FILENO, buf + len, size - len)) > 0) {
                len += (size_t) n;
                if (tty && buf[len - 1] == '\n')
                        break;
        }
        if (tty) {
                (void) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
                (void) fputc('\n', stderr);
        }
        return len < size ? (ssize_t) len : -E2BIG;
}

/* A pipe with the password in it: it is neither in a file nor in an argument. */
static int password_pipe(void) {
        char buf[PASSWORD_MAX + 2];
        ssize_t n = read_password(buf, sizeof buf);
        int fds[2], r = n < 0 ? (int) n : pipe(fds) < 0 ? -errno : 0;

        if (r >= 0) {
                r = write_all(fds[1], buf, (size_t) n); /* fits a pipe */
                (void) close_fd(fds[1]);
                if (r < 0)
                        (void) close_fd(fds[0]);
        }
        explicit_bzero(buf, sizeof buf);
        return r < 0 ? r : fds[0];
}

static int login(sd_bus *bus, const char *registry, const char *user) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        _cleanup_close_ int fd = password_pipe();
        int r = fd;

        if (r >= 0)
                r = new_call(bus, ROOT, SERVICE ".Manager", "Login", &call);
        if (r >= 0)
                r = sd_bus_message_append(call, "ssha{sv}", registry, user, fd, 0);
        if (r >= 0)
                r = sd_bus_call(bus, call, FOREVER, &error, NULL);
        return r < 0 ? say(&error, r) : EXIT_SUCCESS;
}

/* ---- log ------------------------------------------------------------------------------------------------------- */

static int append_options(sd_bus_message *call, const struct log_options *options) {
        int r = sd_bus_message_open_container(call, 'a', "{sv}");

        if (r >= 0 && options->by_tail)
                r = sd_bus_message_append(call, "{sv}", "tail", "t", options->tail);
        if (r >= 0 && options->by_boot)
                r = sd_bus_message_append(call, "{sv}", "boot", "u", (uint32_t) options->boot);
        if (r >= 0 && options->by_since)
                r = sd_bus_message_append(call, "{sv}", "since", "t", options->since);
        if (r >= 0)
                r = sd_bus_message_append(call, "{sv}", "follow", "b", options->follow);
        if (r >= 0)
                r = sd_bus_message_append(call, "{sv}", "timestamps", "b", options->timestamps);
        return r < 0 ? r : sd_bus_message_close_container(call);
}

/* A VM's object; the error is the caller's to tell. */
static int get_vm(sd_bus *bus, const char *name, sd_bus_error *error, sd_bus_message **ret_reply, const char **ret) {
        int r = sd_bus_call_method(bus, SERVICE, ROOT, SERVICE ".Manager", "GetVM", error, ret_reply, "s", name);

        return r < 0 ? r : sd_bus_message_read(*ret_reply, "o", ret);
}

static int copy_to_stdout(int fd) {
        char buf[65536];

        for (;;) {
                ssize_t n = read(fd, buf, sizeof buf);
                int r = 0;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n > 0)
                        r = write_all(STDOUT_FILENO, buf, (size_t) n);
                if (n < 0 || r < 0)
                        return say(NULL, n < 0 ? -errno : r);
                if (n == 0)
                        return EXIT_SUCCESS;
        }
}

static int show_log(sd_bus *bus, const char *name, const struct log_options *options) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *found = NULL, *call = NULL, *reply = NULL;
        const char *path;
        int fd, r = get_vm(bus, name, &error, &found, &path);

        if (r >= 0)
                r = new_call(bus, path, SERVICE ".VM", "OpenLog", &call);
        if (r >= 0)
                r = append_options(call, options);
        if (r >= 0)
                r = sd_bus_call(bus, call, FOREVER, &error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "h", &fd);
        return r < 0 ? say(&error, r) : copy_to_stdout(fd); /* the descriptor is the message's */
}

/* ---- console --------------------------------------------------------------------------------------------------- */

#define ESCAPE 0x1d /* Ctrl-], as telnet(1) and virsh(1) have it */

/* The terminal passes every key on; what the guest prints gets its carriage returns here, since the guest adds none. */
static bool make_raw(struct termios *ret_before) {
        struct termios raw;

        if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, ret_before) < 0)
                return false;
        raw = *ret_before;
        cfmakeraw(&raw);
        raw.c_oflag |= OPOST | ONLCR;
        return tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

/* Until the console ends, or Ctrl-] is typed. The end of a piped input leaves the output running. */
static int use_console(int fd, bool write) {
        struct pollfd polls[2] = {{.fd = fd, .events = POLLIN}, {.fd = write ? STDIN_FILENO : -1, .events = POLLIN}};
        char buf[4096];

        for (;;) {
                ssize_t n;
                char *escape;

                if (poll(polls, 2, -1) < 0 && errno != EINTR)
                        return -errno;
                if (polls[0].revents) {
                        n = read(fd, buf, sizeof buf);
                        if (n <= 0 || write_all(STDOUT_FILENO, buf, (size_t) n) < 0)
                                return 0;
                }
                if (!polls[1].revents)
                        continue;
                n = read(STDIN_FILENO, buf, sizeof buf);
                if (n <= 0) {
                        polls[1].fd = -1;
                        continue;
                }
                escape = isatty(STDIN_FILENO) ? memchr(buf, ESCAPE, (size_t) n) : NULL;
                if (write_all(fd, buf, escape ? (size_t) (escape - buf) : (size_t) n) < 0 || escape)
                        return 0;
        }
}

/* OpenConsole or OpenDisplay; the descriptor is the reply's. Tells what went wrong. */
static int open_view(
        sd_bus *bus, const char *name, const char *method, bool write, sd_bus_message **ret_reply, int *ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *found = NULL, *call = NULL;
        const char *path;
        int r = get_vm(bus, name, &error, &found, &path);

        if (r >= 0)
                r = new_call(bus, path, SERVICE ".VM", method, &call);
        if (r >= 0)
                r = write ? sd_bus_message_append(call, "a{sv}", 0)
                          : sd_bus_message_append(call, "a{sv}", 1, "write", "b", 0);
        if (r >= 0)
                r = sd_bus_call(bus, call, FOREVER, &error, ret_reply);
        if (r >= 0)
                r = sd_bus_message_read(*ret_reply, "h", ret);
        if (r < 0)
                (void) say(&error, r);
        return r;
}

static int open_console(sd_bus *bus, const char *name, bool write) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct termios before;
        bool raw;
        int fd, r = open_view(bus, name, "OpenConsole", write, &reply, &fd);

        if (r < 0)
                return EXIT_FAILURE;
        raw = write && make_raw(&before);
        if (raw)
                (void) fputs("mcp-fd: connected; Ctrl-] leaves\n", stderr);
        r = use_console(fd, write);
        if (raw)
                (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
        return r < 0 ? say(NULL, r) : EXIT_SUCCESS;
}

static int open_display(sd_bus *bus, const char *name) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int fd, r = open_view(bus, name, "OpenDisplay", true, &reply, &fd);

        if (r < 0)
                return EXIT_FAILURE;
        (void) signal(SIGPIPE, SIG_IGN);
        r = fd_carry(fd);
        return r < 0 ? say(NULL, r) : EXIT_SUCCESS;
}

/* ---- the command line ------------------------------------------------------------------------------------------ */

static bool parse_log(int argc, char *argv[], struct log_options *options) {
        static const struct option longs[] = {
                {"follow", no_argument, NULL, 'f'},
                {"tail", required_argument, NULL, 'n'},
                {"boot", required_argument, NULL, 'b'},
                {"since", required_argument, NULL, 's'},
                {"timestamps", no_argument, NULL, 't'},
                {0},
        };
        bool good = true;
        int c;

        while (good && (c = getopt_long(argc, argv, "fn:b:s:t", longs, NULL)) != -1)
                if (c == 'f')
                        options->follow = true;
                else if (c == 't')
                        options->timestamps = true;
                else if (c == 'n')
                        good = options->by_tail = parse_number("--tail", optarg, UINT64_MAX, &options->tail);
                else if (c == 's')
                        good = options->by_since = parse_number("--since", optarg, UINT64_MAX, &options->since);
                else if (c == 'b')
                        good = options->by_boot = parse_number("--boot", optarg, UINT32_MAX, &options->boot);
                else
                        good = false;
        return good && optind == argc - 1;
}

int main(int argc, char *argv[]) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        struct log_options options = {0};
        bool run = argc > 1 && strcmp(argv[1], "run") == 0, console = argc == 3 && strcmp(argv[1], "console") == 0;
        bool display = argc == 3 && strcmp(argv[1], "display") == 0, view = argc == 3 && strcmp(argv[1], "view") == 0;
        bool signing_in = argc == 4 && strcmp(argv[1], "login") == 0;
        bool profile = argc == 4 && strcmp(argv[1], "import-profile") == 0;
        bool import = profile || (argc == 4 && strcmp(argv[1], "import") == 0), log = argc > 1 && strcmp(argv[1], "log") == 0;
        int r;

        if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
                return fputs(usage, stdout) < 0;
        if (log)
                log = parse_log(argc - 1, argv + 1, &options);
        if (!import && !signing_in && !log && !console && !view && !display && !run) {
                (void) fputs(usage, stderr);
                return 2;
        }
        r = sd_bus_open_system(&bus);
        if (r < 0) {
                (void) fprintf(stderr, "mcp-fd: no system bus: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        if (signing_in)
                return login(bus, argv[2], argv[3]);
        if (console || view)
                return open_console(bus, argv[2], console);
        if (display)
                return open_display(bus, argv[2]);
        if (run) {
                r = fd_run(bus, argc - 1, argv + 1);
                return r == 2 ? (void) fputs(usage, stderr), r : r;
        }
        return import ? import_file(bus, profile ? "ImportProfile" : "ImportImage", argv[2], argv[3]) : show_log(bus, argv[1 + optind], &options);
}
