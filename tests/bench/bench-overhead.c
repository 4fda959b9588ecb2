/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the service adds to a start: the time from the RunVM call to QEMU's exec, for an image that is there already,
 * beside a bare start of the same QEMU and a bare systemd-run of /bin/true, in turns. Needs the installed service, root,
 * and /bin/busybox; without them it is skipped. The exec is seen by inotify as the opening of QEMU's file.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "shared/fd.h"
#include "table.h"

#define NAME "org.mcp.Runtime1"
#define ROOT "/org/mcp/Runtime1"
#define MANAGER NAME ".Manager"
#define VM_NAME "mcp-bench"
#define VM_PATH ROOT "/vm/mcp_2dbench"
#define IMAGE "mcp-bench:1"
#define QEMU "/usr/bin/qemu-system-x86_64"
#define ROUNDS 10U
#define PATIENCE_MSEC 60000
#define SKIPPED 77

#define _cleanup_message_ __attribute__((cleanup(sd_bus_message_unrefp)))
#define _cleanup_error_ __attribute__((cleanup(sd_bus_error_free)))

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vfprintf(stderr, format, ap);
        va_end(ap);
        (void) fputc('\n', stderr);
        exit(EXIT_FAILURE);
}

/* ---- The service ---- */

static sd_bus_message *finish_call(sd_bus *bus, sd_bus_message *m, bool may_fail) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        int r = sd_bus_call(bus, m, PATIENCE_MSEC * 1000ULL, &error, &reply);

        if (r < 0 && !may_fail)
                die("%s: %s", sd_bus_message_get_member(m), error.message ?: strerror(-r));
        return reply;
}

static sd_bus_message *new_call(sd_bus *bus, const char *path, const char *interface, const char *member) {
        sd_bus_message *m = NULL;

        if (sd_bus_message_new_method_call(bus, &m, NAME, path, interface, member) < 0)
                die("no memory");
        return m;
}

/* done, or the end of the benchmark. */
static void wait_job(sd_bus *bus, const char *path) {
        _cleanup_message_ sd_bus_message *m = new_call(bus, path, NAME ".Job", "Wait"), *reply = finish_call(bus, m, false);
        const char *result, *error, *text;

        if (sd_bus_message_read(reply, "sss", &result, &error, &text) < 0 || strcmp(result, "done") != 0)
                die("%s: %s", error, text);
}

static void import(sd_bus *bus) {
        _cleanup_message_ sd_bus_message *m = new_call(bus, ROOT, MANAGER, "ImportImage"), *reply = NULL;
        _cleanup_close_ int fd = open("/bin/busybox", O_RDONLY | O_CLOEXEC);
        const char *job;
        uint32_t id;

        if (fd < 0 || sd_bus_message_append(m, "sha{sv}", IMAGE, fd, 0) < 0)
                die("/bin/busybox: %s", strerror(errno));
        reply = finish_call(bus, m, false);
        if (sd_bus_message_read(reply, "uo", &id, &job) < 0)
                die("ImportImage answers something else");
        wait_job(bus, job);
}

static void remove_vm(sd_bus *bus) {
        _cleanup_message_ sd_bus_message *kill_call = new_call(bus, VM_PATH, NAME ".VM", "Kill"), *m = NULL, *reply = NULL, *gone = NULL;
        const char *job;
        uint32_t id;

        (void) sd_bus_message_append(kill_call, "s", "KILL");
        gone = finish_call(bus, kill_call, true);
        m = new_call(bus, VM_PATH, NAME ".VM", "Remove");
        (void) sd_bus_message_append(m, "a{sv}", 0);
        reply = finish_call(bus, m, true);
        if (reply && sd_bus_message_read(reply, "uo", &id, &job) >= 0)
                wait_job(bus, job);
}

/* ---- QEMU's exec ---- */

static void drain(int watch) {
        char events[4096];

        while (read(watch, events, sizeof events) > 0)
                ;
}

static uint64_t wait_exec(int watch) {
        struct pollfd p = {.fd = watch, .events = POLLIN};
        uint64_t at;

        if (poll(&p, 1, PATIENCE_MSEC) != 1)
                die("QEMU was never started");
        at = now_monotonic();
        drain(watch);
        return at;
}

/* When QEMU has answered on QMP and its CPUs run; to a millisecond. */
static uint64_t wait_running(sd_bus *bus) {
        uint64_t deadline = now_monotonic() + PATIENCE_MSEC * 1000ULL;

        while (now_monotonic() < deadline) {
                _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
                char *state = NULL;
                bool running;

                if (sd_bus_get_property_string(bus, NAME, VM_PATH, NAME ".VM", "State", &error, &state) < 0)
                        die("State: %s", error.message);
                running = strcmp(state, "running") == 0;
                free(state);
                if (running)
                        return now_monotonic();
                (void) usleep(1000);
        }
        die("QEMU never answered");
}

typedef struct Start {
        Series reply, exec, running;
} Start;

static void time_start(sd_bus *bus, int watch, const char *network, Start *s) {
        _cleanup_message_ sd_bus_message *m = new_call(bus, ROOT, MANAGER, "RunVM"), *reply = NULL;
        uint64_t begin;

        if (sd_bus_message_append(m, "sa{sv}", VM_NAME, 4, "Image", "s", IMAGE, "Network", "s", network, "Accelerator", "s", "tcg",
                    "Command", "as", 2, "sleep", "1000") < 0)
                die("no memory");
        drain(watch);
        begin = now_monotonic();
        reply = finish_call(bus, m, false);
        if (s) {
                series_add(&s->reply, now_monotonic() - begin);
                series_add(&s->exec, wait_exec(watch) - begin);
                series_add(&s->running, wait_running(bus) - begin);
        } else
                (void) wait_running(bus);
        remove_vm(bus);
}

/* ---- The floors ---- */

static pid_t spawn(const char *const argv[], int in, int out) {
        pid_t pid = fork();

        if (pid < 0)
                die("fork: %s", strerror(errno));
        if (pid > 0)
                return pid;
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (in >= 0)
                (void) dup2(in, STDIN_FILENO);
        if (out >= 0)
                (void) dup2(out, STDOUT_FILENO);
        (void) execv(argv[0], (char *const *) argv);
        _exit(127);
}

/* QMP on the standard streams: its greeting is the first line. */
static void time_qemu(int watch, Series *exec, Series *greeting) {
        const char *const argv[] = {QEMU, "-nodefaults", "-no-user-config", "-machine", "q35,accel=tcg", "-m", "256", "-display", "none", "-qmp", "stdio", "-S", NULL};
        int in[2], out[2];
        uint64_t begin;
        char byte;
        pid_t pid;

        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
                die("pipe: %s", strerror(errno));
        drain(watch);
        begin = now_monotonic();
        pid = spawn(argv, in[0], out[1]);
        (void) close(in[0]);
        (void) close(out[1]);
        series_add(exec, wait_exec(watch) - begin);
        if (read(out[0], &byte, 1) != 1)
                die("a bare QEMU does not start");
        series_add(greeting, now_monotonic() - begin);
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
        (void) close(in[1]);
        (void) close(out[0]);
}

static void time_systemd_run(Series *s) {
        const char *const argv[] = {"/usr/bin/systemd-run", "--quiet", "--wait", "--collect", "/bin/true", NULL};
        uint64_t begin = now_monotonic();
        int status;

        if (waitpid(spawn(argv, -1, -1), &status, 0) < 0 || status != 0)
                die("systemd-run ends with %#x", (unsigned) status);
        series_add(s, now_monotonic() - begin);
}

static int skip(const char *why) {
        (void) printf("skipped: %s\n", why);
        return SKIPPED;
}

static void print(Series *true_unit, Series *qemu_exec, Series *qemu, Start *none, Start *user) {
        uint64_t floor = series_median(true_unit);

        table_head();
        table_row(true_unit, floor);
        table_row(qemu_exec, 0);
        table_row(qemu, 0);
        table_row(&none->reply, 0);
        table_row(&none->exec, floor);
        table_row(&none->running, floor + series_median(qemu));
        table_row(&user->exec, floor);
        table_row(&user->running, floor + series_median(qemu));
        (void) printf("x floor: of an exec, to the systemd-run; of a running one, to systemd-run and bare QEMU together\n");
}

int main(void) {
        static Series true_unit = {"systemd-run --wait /bin/true"}, qemu_exec = {"bare QEMU, fork to exec"}, qemu = {"bare QEMU, fork to QMP greeting"};
        static Start none = {{"RunVM to its reply"}, {"RunVM to QEMU's exec, Network=none"}, {"RunVM to running, Network=none"}};
        static Start user = {{""}, {"RunVM to QEMU's exec, user networking"}, {"RunVM to running, user networking"}};
        __attribute__((cleanup(sd_bus_flush_close_unrefp))) sd_bus *bus = NULL;
        _cleanup_close_ int watch = -1;

        if (geteuid() != 0)
                return skip("only root starts units and VMs without a question");
        if (access(QEMU, X_OK) < 0 || access("/bin/busybox", X_OK) < 0 || access("/run/systemd/system", F_OK) < 0)
                return skip("needs systemd, " QEMU " and /bin/busybox");
        if (sd_bus_open_system(&bus) < 0 || sd_bus_call_method(bus, NAME, ROOT, "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, NULL) < 0)
                return skip("the service is not installed");
        watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (watch < 0 || inotify_add_watch(watch, QEMU, IN_OPEN) < 0)
                die("inotify: %s", strerror(errno));
        (void) signal(SIGPIPE, SIG_IGN);
        remove_vm(bus);
        import(bus);
        time_start(bus, watch, "user", NULL); /* makes the initrd, asks about KVM */
        for (unsigned i = 0; i < ROUNDS; i++) {
                time_systemd_run(&true_unit);
                time_start(bus, watch, "none", &none);
                time_qemu(watch, &qemu_exec, &qemu);
                time_start(bus, watch, "user", &user);
        }
        print(&true_unit, &qemu_exec, &qemu, &none, &user);
        return EXIT_SUCCESS;
}
