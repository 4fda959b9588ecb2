/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-runtimed: wiring. Vtables before the name, records before anything is dispatched, READY=1 last. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "authz/authority.h"
#include "authz/glib-loop.h"
#include "bus/bus.h"
#include "bus/leavers.h"
#include "bus/signals.h"
#include "config.h"
#include "core/job-record.h"
#include "core/runtime.h"
#include "core/settle.h"
#include "launch/sockets.h"
#include "shared/log.h"

typedef struct Daemon {
        Config *config;
        sd_event *event;
        sd_bus *connection;
        Authority *authority;
        Systemd *systemd;
        Bus *bus;
        FdStore *fd_store;
        Launch *launch;
        SocketWatch *sockets;
        Runtime *runtime;
        Settle *settle;
} Daemon;

static void daemon_clear(Daemon *d) {
        if (d->bus)
                leavers_end(d->bus); /* what is done for callers, while what it is about is there */
        (void) settle_free(d->settle);
        (void) runtime_free(d->runtime);
        (void) launch_free(d->launch);
        (void) socket_watch_free(d->sockets);
        (void) fd_store_free(d->fd_store);
        (void) systemd_free(d->systemd);
        (void) bus_free(d->bus);
        (void) authority_free(d->authority);
        sd_bus_flush_close_unref(d->connection);
        sd_event_unref(d->event);
        config_free(d->config);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Daemon *d = userdata;

        log_error("the system bus has gone; starting anew");
        return sd_event_exit(d->event, EXIT_FAILURE);
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Daemon *d = userdata;
        uint32_t result = 0;

        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "u", &result) < 0 || result != 1) {
                log_error("the name " BUS_NAME
                          " cannot be had: is another mcp-runtimed running, is the bus policy installed?");
                return sd_event_exit(d->event, EXIT_FAILURE);
        }
        signals_announce(d->bus);
        jobs_interrupted(d->runtime);
        (void) sd_notify(0, "READY=1");
        return 0;
}

static void on_settled(void *userdata) {
        Daemon *d = userdata;
        int r = sd_bus_request_name_async(d->connection, NULL, BUS_NAME, 0, on_name, d);

        if (r < 0) {
                log_error("the name " BUS_NAME " cannot be asked for: %s", strerror(-r));
                (void) sd_event_exit(d->event, r);
        }
}

static int setup_bus(Daemon *d) {
        int r;

        r = sd_bus_open_system(&d->connection);
        if (r >= 0)
                r = sd_bus_attach_event(d->connection, d->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_match_signal_async(d->connection, NULL, "org.freedesktop.DBus.Local", NULL,
                        "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, d);
        if (r < 0)
                log_error("no connection to the system bus: %s", strerror(-r));
        return r;
}

static int setup(Daemon *d) {
        int fd, r;

        r = sd_event_default(&d->event);
        if (r < 0)
                return r;
        (void) sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
        (void) sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
        (void) sd_event_set_watchdog(d->event, true);
        d->fd_store = fd_store_new(&fd); /* who connects while no daemon runs waits in the socket */
        if (fd < 0) {
                log_error("no launch socket was passed: mcp-runtimed is started by systemd with mcp-runtimed.socket");
                return -ENOTCONN;
        }
        r = setup_bus(d);
        if (r < 0)
                return r;
        d->authority = authority_new();
        d->systemd = systemd_new(d->connection);
        d->bus = bus_new(d->event, d->connection, d->authority);
        if (!d->systemd || !d->bus)
                return -ENOMEM;
        r = runtime_new(d->event, d->config, &bus_observer, d->bus, &d->runtime);
        if (r < 0) {
                log_error("%s: %s", d->config->state_directory, strerror(-r));
                return r;
        }
        d->launch = launch_new(d->event, d->systemd, fd, runtime_stranger, d->runtime);
        d->sockets = socket_watch_new(d->event, d->systemd);
        d->runtime->systemd = d->systemd;
        d->runtime->launch = d->launch;
        d->runtime->fd_store = d->fd_store;
        d->bus->runtime = d->runtime;
        d->bus->told = told_new(d->fd_store);
        r = bus_export(d->bus);
        if (r < 0)
                return r;
        runtime_load(d->runtime);
        d->bus->loaded = true;
        signals_review(d->bus);
        return settle_wait(d->runtime, on_settled, d, &d->settle);
}

static void block_signals(void) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
}

static void usage(void) {
        (void) printf(
                "Usage: mcp-runtimed [--config FILE]\n\n"
                "The bus front of the mcp runtime: serves " BUS_NAME " on the system bus. It is started by systemd\n"
                "(mcp-runtimed.service, with mcp-runtimed.socket) and by bus activation; there is no need to run it by "
                "hand.\n\n"
                "  --config FILE  read FILE instead of " SYSCONFDIR "/mcp-runtime/runtime.conf\n"
                "  --version      print the version\n"
                "  --help         print this\n");
}

int main(int argc, char *argv[]) {
        static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                {"version", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'}, {}};
        g_autoptr(GError) error = NULL;
        const char *config = NULL;
        Daemon d = {};
        int c, r;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'c':
                        config = optarg;
                        break;
                case 'v':
                        (void) printf("mcp-runtimed " PROJECT_VERSION "\n");
                        return EXIT_SUCCESS;
                case 'h':
                        usage();
                        return EXIT_SUCCESS;
                default:
                        return 2;
                }

        block_signals(); /* before GLib's thread */
        d.config = config_load(config, &error);
        if (!d.config) {
                log_error("%s", error->message);
                return EXIT_FAILURE;
        }
        r = setup(&d);
        if (r >= 0)
                r = event_loop_with_glib(d.event);
        if (r < 0)
                log_error("cannot go on: %s", strerror(-r));
        daemon_clear(&d);
        return r < 0 ? EXIT_FAILURE : r;
}
