/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-passt: the main process of mcp-passt@VM.service. Starts passt, says when the ports are bound or why they are not,
 * carries the frames between QEMU and passt, exchanges passt when other ports are to be published, and ends with the
 * VM. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "helpers/frame-relay.h"
#include "helpers/guest-probes.h"
#include "helpers/passt-process.h"
#include "shared/daemon-link.h"
#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

#define ARGV_MAX 512U
#define PICK_TRIES 5U /* a port that was free may be taken before passt binds it */
#define END_USEC (5U * 1000U * 1000U)

struct network {
        sd_event *event;
        struct daemon_link *link;
        FrameRelay *relay;
        GuestProbes *probes; /* NULL: none are asked for */
        char **argv; /* of the passt that runs, ports picked */
        json_int_t boot;
        bool alone; /* the daemon does not know us */
};

static void free_argv(char **argv) {
        for (size_t i = 0; argv && argv[i]; i++)
                free(argv[i]);
        free(argv);
}

static char **read_argv(const json_t *argv) {
        size_t n = json_array_size(argv);
        char **copy = n > 0 && n <= ARGV_MAX ? calloc(n + 1, sizeof *copy) : NULL;

        for (size_t i = 0; copy && i < n; i++) {
                const char *arg = json_string_value(json_array_get(argv, i));

                copy[i] = arg ? strdup(arg) : NULL;
                if (!copy[i]) {
                        free_argv(copy);
                        return NULL;
                }
        }
        return copy;
}

static int fail_errno(PasstFailure *f, const char *what, int error) {
        f->error = "Failed";
        (void) snprintf(f->message, sizeof f->message, "%s: %s", what, strerror(error));
        return -ECANCELED;
}

/* One try: picks ports, starts passt. *ret_sock is our side of its socket. */
static int try_start(char **argv, json_t *picked, int *ret_sock, PasstFailure *f) {
        int pair[2], r;

        (void) json_array_clear(picked);
        r = passt_pick_ports(argv, picked);
        if (r < 0)
                return fail_errno(f, "no free port could be picked", -r);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return fail_errno(f, "no socket pair", errno);
        r = passt_start(argv, pair[1], f);
        if (r < 0) {
                (void) close_fd(pair[0]);
                return r;
        }
        *ret_sock = pair[0];
        return 0;
}

/* Starts passt as argv, a JSON array, says; ports are picked anew when a picked one was taken meanwhile. ret_argv is
 * what runs. */
static int start(const json_t *argv, json_t *picked, char ***ret_argv, int *ret_sock, PasstFailure *f) {
        for (unsigned i = 1;; i++) {
                char **copy = read_argv(argv);
                int r;

                if (!copy)
                        return fail_errno(f, "no argv", EBADMSG);
                r = try_start(copy, picked, ret_sock, f);
                if (r >= 0) {
                        *ret_argv = copy;
                        return 0;
                }
                free_argv(copy);
                if (strcmp(f->error, "PortInUse") != 0 || json_array_size(picked) == 0 || i == PICK_TRIES)
                        return r;
        }
}

/* ---- Exchange ---- */

/* The passt that was, as it was. */
static int go_back(struct network *net, const PasstFailure *why) {
        PasstFailure f = {};
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        r = passt_start(net->argv, pair[1], &f);
        if (r < 0) {
                (void) fprintf(stderr, "mcp-passt: %s; the ports before: %s\n", why->message, f.message);
                (void) close_fd(pair[0]);
                return r;
        }
        return frame_relay_connect(net->relay, pair[0]);
}

/* Other forwards. 0; -ECANCELED with *f and the old ones in place; another negative errno when there is no network any
 * more. */
static int exchange(struct network *net, const json_t *argv, json_t *picked, PasstFailure *f) {
        char **now;
        int sock, r;

        /* The ports that stay are bound again, so the old passt has to be gone. */
        frame_relay_hang_up(net->relay);
        r = passt_await_end(END_USEC);
        if (r < 0)
                return r;
        r = start(argv, picked, &now, &sock, f);
        if (r < 0) {
                int back = go_back(net, f);

                return back < 0 ? -ENETDOWN : r;
        }
        free_argv(net->argv);
        net->argv = now;
        return frame_relay_connect(net->relay, sock);
}

static int on_message(void *userdata, const json_t *message, int *fds, size_t n_fds) {
        struct network *net = userdata;
        PasstFailure f = {};
        json_t *picked, *reply;
        int r;

        if (strcmp(wire_type(message), "goodbye") == 0) {
                net->alone = true;
                return 0;
        }
        if (strcmp(wire_type(message), "usage") == 0)
                daemon_link_send(net->link, json_pack("{s:s, s:I, s:I}", "type", "usage", "received",
                                                    (json_int_t) frame_relay_bytes(net->relay, RELAY_PASST), "sent",
                                                    (json_int_t) frame_relay_bytes(net->relay, RELAY_GUEST)));
        if (strcmp(wire_type(message), "forwards") != 0)
                return 0;
        picked = json_array();
        r = exchange(net, json_object_get(message, "argv"), picked, &f);
        reply = json_pack("{s:s, s:O?, s:O}", "type", "reply", "id", json_object_get(message, "id"), "picked", picked);
        if (r < 0) {
                (void) json_object_set_new(reply, "error", json_string(f.error ? f.error : "Failed"));
                (void) json_object_set_new(reply, "message", json_string(f.error ? f.message : strerror(-r)));
        }
        json_decref(picked);
        daemon_link_send(net->link, reply);
        if (r < 0 && r != -ECANCELED)
                (void) sd_event_exit(net->event, EXIT_FAILURE);
        return 0;
}

static json_t *on_hello(void *userdata) {
        const struct network *net = userdata;

        if (net->alone)
                return NULL;
        return json_pack("{s:s, s:i, s:I}", "type", "hello", "version", LAUNCH_WIRE_VERSION, "boot", net->boot);
}

static void on_closed(void *userdata) {
        /* It comes back, or the VM ends. */
}

static void on_relay_end(int side, void *userdata) {
        struct network *net = userdata;

        if (side == RELAY_PASST)
                (void) fprintf(stderr, "mcp-passt: passt has ended before the VM\n");
        frame_relay_hang_up(net->relay);
        (void) passt_await_end(END_USEC);
        (void) sd_event_exit(net->event, side == RELAY_GUEST ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- Start ---- */

static int say_failed(int sock, const PasstFailure *f) {
        (void) fprintf(stderr, "mcp-passt: %s: %s\n", f->error, f->message);
        (void) sd_notifyf(0, "STATUS=%s: %s", f->error, f->message);
        (void) wire_send_new(
                sock, json_pack("{s:s, s:s, s:s}", "type", "failed", "error", f->error, "message", f->message));
        return EXIT_FAILURE;
}

/* Takes sock. */
static int serve(struct network *net, int sock) {
        static const struct daemon_link_ops ops = {.hello = on_hello, .message = on_message, .closed = on_closed};
        int r = daemon_link_new(net->event, sock, &ops, net, &net->link);

        if (r >= 0)
                r = sd_event_loop(net->event);
        if (r < 0)
                (void) fprintf(stderr, "mcp-passt: %s\n", strerror(-r));
        net->link = daemon_link_free(net->link);
        return r < 0 ? EXIT_FAILURE : r;
}

/* Takes what it uses of fds: the relay's, and the one to the monitor where there is a second. */
static int relay(struct network *net, const json_t *message, int *fds, size_t n_fds, int passt, PasstFailure *f) {
        int r = frame_relay_new(net->event, take_fd(&fds[0]), passt, on_relay_end, net, &net->relay);

        if (r < 0)
                return fail_errno(f, "no relay", -r);
        if (n_fds < 2)
                return 0;
        r = guest_probes_new(net->event, message, take_fd(&fds[1]), net->relay, &net->probes);
        return r < 0 ? fail_errno(f, "no probes", -r) : 0;
}

/* Takes *sock and fds when it goes well. */
static int handle(struct network *net, int *sock, const json_t *message, int *fds, size_t n_fds) {
        json_t *picked = json_array();
        PasstFailure f = {};
        int passt = -1, r;

        net->boot = json_integer_value(json_object_get(message, "boot"));
        r = start(json_object_get(message, "argv"), picked, &net->argv, &passt, &f);
        if (r >= 0)
                r = relay(net, message, fds, n_fds, passt, &f);
        if (r < 0) {
                json_decref(picked);
                return say_failed(*sock, &f);
        }
        (void) wire_send_new(*sock, json_pack("{s:s, s:o}", "type", "ready", "picked", picked));
        (void) sd_notify(0, "READY=1\nSTATUS=passt has bound its ports");
        return serve(net, take_fd(sock));
}

static bool names_are_known(const json_t *message, size_t n_fds) {
        static const char *const known[] = {"socket", "probes"};
        const json_t *names = json_object_get(message, "fds");

        for (size_t i = 0; i < n_fds && i < sizeof known / sizeof *known; i++) {
                const char *name = json_string_value(json_array_get(names, i));

                if (!name || strcmp(name, known[i]) != 0)
                        return false;
        }
        return n_fds >= 1 && n_fds <= sizeof known / sizeof *known;
}

static int say_errno(int sock, const char *what, int error) {
        PasstFailure f;

        (void) fail_errno(&f, what, error);
        return say_failed(sock, &f);
}

static int run(int *sock) {
        struct network net = {};
        int fds[LAUNCH_FDS_MAX], r, status = EXIT_FAILURE;
        json_t *message = NULL;
        size_t n_fds = 0;

        r = wire_recv(*sock, &message, fds, &n_fds);
        if (r <= 0) {
                (void) fprintf(
                        stderr, "mcp-passt: no launch message: %s\n", r < 0 ? strerror(-r) : "connection closed");
                return EXIT_FAILURE;
        }
        if (strcmp(wire_type(message), "goodbye") == 0)
                status = EXIT_SUCCESS;
        else if (wire_fds_lost(message, n_fds))
                status = say_errno(*sock, "its descriptors", EMFILE);
        else if (strcmp(wire_type(message), "launch") != 0 || !names_are_known(message, n_fds))
                status = say_failed(*sock,
                        &(PasstFailure){"Failed",
                                "the launch message has other descriptors than \"socket\" and \"probes\", or is none"});
        else if ((r = sd_event_new(&net.event)) < 0)
                status = say_errno(*sock, "no event loop", -r);
        else
                status = handle(&net, sock, message, fds, n_fds);
        while (n_fds > 0)
                (void) close_fd(fds[--n_fds]);
        json_decref(message);
        (void) guest_probes_free(net.probes);
        (void) frame_relay_free(net.relay);
        sd_event_unref(net.event);
        free_argv(net.argv);
        return status;
}

int main(int argc, char *argv[]) {
        _cleanup_close_ int sock = -1;
        sigset_t child;

        if (argc > 1) {
                (void) fprintf(stderr, "mcp-passt takes no argument; it is started as mcp-passt@VM.service\n");
                return EXIT_FAILURE;
        }
        (void) signal(SIGPIPE, SIG_IGN);
        (void) sigemptyset(&child);
        (void) sigaddset(&child, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &child, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return EXIT_FAILURE;
        sock = wire_connect(NULL);
        if (sock < 0) {
                (void) fprintf(stderr, "mcp-passt: no launch socket: %s\n", strerror(-sock));
                return EXIT_FAILURE;
        }
        return run(&sock);
}
