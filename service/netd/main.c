/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-netd: the only program with CAP_NET_ADMIN. Makes bridges, TAPs and their guard for mcp-runtimed, see netd-wire.h.
 */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "netd/server.h"
#include "netd/watch.h"
#include "shared/log.h"

struct options {
        const char *config, *user;
};

static int usage(FILE *f) {
        (void) fprintf(f,
                "usage: mcp-netd [--config FILE] [--user NAME]\n\n"
                "Serves one listening SEQPACKET socket, given as systemd does. Connections of that user are taken\n"
                "(default: " DAEMON_USER "); the file names the bridges (default: " CONFIG_FILE ").\n");
        return f == stdout ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char *argv[], struct options *o) {
        static const struct option options[] = {
                {"config", required_argument, NULL, 'c'},
                {"user", required_argument, NULL, 'u'},
                {"help", no_argument, NULL, 'h'},
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                if (c == 'c')
                        o->config = optarg;
                else if (c == 'u')
                        o->user = optarg;
                else
                        return usage(c == 'h' ? stdout : stderr);
        return optind < argc ? usage(stderr) : -1;
}

static int find_user(const char *name, uid_t *ret) {
        const struct passwd *user;

        errno = 0;
        user = getpwnam(name);
        if (!user) {
                log_error("user %s: %s", name, errno ? strerror(errno) : "there is none, see sysusers.d");
                return -ESRCH;
        }
        *ret = user->pw_uid;
        return 0;
}

static int find_socket(void) {
        if (sd_listen_fds(1) == 1 && sd_is_socket(SD_LISTEN_FDS_START, AF_UNIX, SOCK_SEQPACKET, 1) > 0)
                return SD_LISTEN_FDS_START;
        log_error("one listening SEQPACKET socket is expected, as mcp-netd.socket gives it");
        return -EBADF;
}

static int prepare_events(sd_event **ret) {
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_new(ret);
        if (r >= 0)
                r = sd_event_add_signal(*ret, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(*ret, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                (void) sd_event_set_watchdog(*ret, true);
        return r;
}

/* The kernel's messages first: between the picture and the first of them nothing is lost. */
static int run(struct networks *n, int socket_fd, uid_t user) {
        struct server *server = NULL;
        struct watch *watch = NULL;
        sd_event *event = NULL;
        int r;

        r = prepare_events(&event);
        if (r >= 0)
                r = watch_new(event, n, &watch);
        if (r >= 0)
                r = networks_start(n);
        if (r >= 0)
                r = server_new(event, n, socket_fd, user, &server);
        if (r >= 0) {
                n->event = server_send_event;
                n->userdata = server;
                (void) sd_notifyf(0, "READY=1\nSTATUS=%zu bridges, %zu ports found", n->net.n_bridges, n->net.n_ports);
                r = sd_event_loop(event);
        }
        if (r < 0)
                log_error("cannot go on: %s", strerror(-r));
        (void) server_free(server);
        (void) watch_free(watch);
        networks_stop(n);
        (void) sd_event_unref(event);
        return r;
}

int main(int argc, char *argv[]) {
        struct options options = {.config = CONFIG_FILE, .user = DAEMON_USER};
        struct networks n = {};
        int socket_fd, r;
        uid_t user;

        r = parse_options(argc, argv, &options);
        if (r >= 0)
                return r;
        config_defaults(&n.net.config);
        if (config_load(&n.net.config, options.config) < 0)
                return EXIT_FAILURE;
        if (find_user(options.user, &user) < 0)
                return EXIT_FAILURE;
        socket_fd = find_socket();
        if (socket_fd < 0)
                return EXIT_FAILURE;
        return run(&n, socket_fd, user) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
