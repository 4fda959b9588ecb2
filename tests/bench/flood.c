/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one user's flood costs another: 256 connections of a stranger with 40 queued calls each, while root lists VMs,
 * or calls a bare sd-bus server that is flooded likewise on the same bus; in turns.
 */
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "gate.h"

#define CONNECTIONS 256U /* all that dbus-daemon gives one user */
#define QUEUED 40U
#define ROUNDS 3U
#define TICK_USEC 50000U
#define PROBES_MAX 100U /* dbus-daemon lets 128 calls of a connection be open */
#define BARE "org.mcp.Bench"
#define BARE_PATH "/org/mcp/Bench"
#define BUS_POLICY "/etc/dbus-1/system.d/mcp-bench.conf"

typedef struct Target {
        const char *name, *path, *interface, *member;
        bool dictionary; /* the argument, a{sv} without a key */
} Target;

static const Target bare = {BARE, BARE_PATH, BARE, "List", true};
static const Target list = {NAME, ROOT, MANAGER, "ListVMs", true};
static const Target gated = {NAME, VM_PATH, VM, "Pause", false};

static sd_bus_message *call_target(sd_bus *bus, const Target *t) {
        sd_bus_message *m = new_call(bus, t->name, t->path, t->interface, t->member);

        if (t->dictionary && sd_bus_message_append(m, "a{sv}", 0) < 0)
                die("no memory");
        return m;
}

/* ---- The bare server ---- */

static int bare_list(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, "a(sssso)", 1, VM_NAME, IMAGE, "created", "", VM_PATH);
}

static const sd_bus_vtable bare_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("List", "a{sv}", "a(sssso)", bare_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static void reload_bus(sd_bus *bus) {
        finish(bus,
                new_call(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReloadConfig"),
                NULL);
}

static void serve_bare(int ready) {
        sd_bus *bus = connect_as(0);

        if (sd_bus_add_object_vtable(bus, NULL, BARE_PATH, BARE, bare_vtable, NULL) < 0 ||
                sd_bus_request_name(bus, BARE, 0) < 0 || write(ready, "", 1) != 1)
                _exit(EXIT_FAILURE);
        for (;;) {
                int r = sd_bus_process(bus, NULL);

                if (r < 0 || (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0))
                        _exit(EXIT_FAILURE);
        }
}

static void wait_byte(int fd) {
        char byte;

        if (read(fd, &byte, 1) != 1)
                die("a child has ended");
}

static pid_t start_bare(sd_bus *bus) {
        int ready[2];
        pid_t pid;

        write_file(BUS_POLICY,
                "<busconfig><policy user=\"root\"><allow own=\"" BARE "\"/></policy>"
                "<policy context=\"default\"><allow send_destination=\"" BARE "\"/></policy></busconfig>\n");
        reload_bus(bus);
        if (pipe2(ready, O_CLOEXEC) < 0 || (pid = fork()) < 0)
                die("fork: %s", strerror(errno));
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                serve_bare(ready[1]);
        }
        (void) close(ready[1]);
        wait_byte(ready[0]);
        (void) close(ready[0]);
        return pid;
}

/* ---- The flood ---- */

static unsigned answers;

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        answers++;
        return 0;
}

static void process_all(sd_bus *buses[]) {
        struct pollfd fds[CONNECTIONS];

        while (answers < CONNECTIONS * QUEUED) {
                for (unsigned i = 0; i < CONNECTIONS; i++) {
                        int r;

                        while ((r = sd_bus_process(buses[i], NULL)) > 0)
                                ;
                        if (r < 0)
                                die("the bus closes a connection: %s", strerror(-r));
                        fds[i] = (struct pollfd){
                                .fd = sd_bus_get_fd(buses[i]), .events = (short) sd_bus_get_events(buses[i])};
                }
                if (answers < CONNECTIONS * QUEUED && poll(fds, CONNECTIONS, 60000) <= 0)
                        die("%u calls have no answer", CONNECTIONS * QUEUED - answers);
        }
}

static void flood(const Target *t, int ready, int go) {
        static sd_bus *buses[CONNECTIONS];

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 0; i < CONNECTIONS; i++)
                buses[i] = connect_as(STRANGER);
        if (write(ready, "", 1) != 1)
                _exit(EXIT_FAILURE);
        wait_byte(go);
        for (unsigned n = 0; n < QUEUED; n++)
                for (unsigned i = 0; i < CONNECTIONS; i++) {
                        _cleanup_message_ sd_bus_message *m = call_target(buses[i], t);

                        if (sd_bus_call_async(buses[i], NULL, m, on_answer, NULL, PATIENCE_USEC) < 0)
                                die("no memory");
                }
        process_all(buses);
        (void) write(ready, "", 1);
        _exit(EXIT_SUCCESS);
}

typedef struct Case {
        const Target *flooded, *called;
        Series calls, floods;
} Case;

/* ---- Who suffers ---- */

static unsigned open_probes;

typedef struct Probe {
        Series *series;
        uint64_t begin;
} Probe;

static int on_probed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Probe *p = userdata;

        if (sd_bus_message_is_method_error(m, NULL))
                die("a call fails: %s", sd_bus_message_get_error(m)->message);
        series_add(p->series, now_monotonic() - p->begin);
        open_probes--;
        free(p);
        return 0;
}

static void send_probe(sd_bus *bus, Case *c) {
        _cleanup_message_ sd_bus_message *m = call_target(bus, c->called);
        Probe *p = calloc(1, sizeof *p);

        if (!p)
                die("no memory");
        *p = (Probe){&c->calls, now_monotonic()};
        if (sd_bus_call_async(bus, NULL, m, on_probed, p, PATIENCE_USEC) < 0)
                die("no memory");
        open_probes++;
}

static void process_until(sd_bus *bus, int over, uint64_t deadline, bool *ret_over) {
        for (;;) {
                struct pollfd fds[] = {{.fd = sd_bus_get_fd(bus), .events = POLLIN}, {.fd = over, .events = POLLIN}};
                uint64_t now = now_monotonic();
                int r;

                while ((r = sd_bus_process(bus, NULL)) > 0)
                        ;
                if (r < 0)
                        die("the bus: %s", strerror(-r));
                if (now >= deadline || *ret_over)
                        return;
                (void) poll(fds, 2, (int) ((deadline - now) / 1000) + 1);
                *ret_over = fds[1].revents != 0;
        }
}

/* A call at each tick for as long as the flood lasts, though former ones have no answer yet: what a caller meets who
 * comes at any moment. */
static void probe(sd_bus *bus, Case *c, int over) {
        uint64_t begin = now_monotonic();
        bool is_over = false;

        for (uint64_t tick = begin + TICK_USEC; !is_over; tick += TICK_USEC) {
                process_until(bus, over, tick, &is_over);
                if (!is_over && open_probes < PROBES_MAX)
                        send_probe(bus, c);
        }
        series_add(&c->floods, now_monotonic() - begin);
        while (open_probes > 0)
                if (sd_bus_process(bus, NULL) == 0)
                        (void) sd_bus_wait(bus, PATIENCE_USEC);
}

static void run_case(sd_bus *bus, Case *c) {
        int ready[2], go[2];
        pid_t pid;

        if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0 || (pid = fork()) < 0)
                die("fork: %s", strerror(errno));
        if (pid == 0)
                flood(c->flooded, ready[1], go[0]);
        (void) close(ready[1]);
        wait_byte(ready[0]);
        if (write(go[1], "", 1) != 1)
                die("pipe: %s", strerror(errno));
        probe(bus, c, ready[0]);
        wait_byte(ready[0]);
        (void) waitpid(pid, NULL, 0);
        (void) close(ready[0]);
        (void) close(go[0]);
        (void) close(go[1]);
        (void) usleep(300000); /* the bus sees the connections close, the journal takes its lines */
}

static void forget_files(void) {
        (void) unlink(RULES);
        (void) unlink(BUS_POLICY);
}

int main(void) {
        static Case cases[] = {
                {&bare, &bare, {"a bare server, flooded"}, {"  that flood, to its last answer"}},
                {&list, &list, {"ListVMs, flooded with ListVMs"}, {"  that flood"}},
                {&gated, &list, {"ListVMs, flooded with Pause (manage-vms is asked)"}, {"  that flood"}},
        };
        _cleanup_bus_ sd_bus *root = NULL, *stranger = NULL;
        const char *why = missing(&root), *subject;
        pid_t server;

        if (why)
                return skip(why);
        (void) atexit(forget_files);
        stranger = connect_as(STRANGER);
        if (sd_bus_get_unique_name(stranger, &subject) < 0)
                die("no bus name");
        allow_stranger(root, subject);
        stranger = sd_bus_flush_close_unref(stranger);
        define_vm(root);
        server = start_bare(root);
        for (unsigned i = 0; i < ROUNDS; i++)
                for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
                        run_case(root, &cases[k]);
        table_head();
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
                table_row(&cases[k].calls, series_median(&cases[0].calls));
                table_row(&cases[k].floods, series_median(&cases[0].floods));
        }
        (void) kill(server, SIGKILL);
        (void) waitpid(server, NULL, 0);
        forget_vm(root);
        forget_files();
        reload_bus(root);
        return EXIT_SUCCESS;
}
