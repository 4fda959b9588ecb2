/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the launch socket's connections: who they are, and the Helper runs that they belong to. */
#include "launch/helper.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/log.h"
#include "shared/wire.h"

#define PEERS_UNKNOWN_MAX 256U                    /* connections that have not said who they are yet */
#define PEERS_UNKNOWN_PER_UID 4U                  /* of one uid: a unit needs one */
#define CONNECT_USEC (60U * G_USEC_PER_SEC)       /* from the start of the unit to its hello */
#define ACCEPT_PAUSE_USEC (1U * G_USEC_PER_SEC)   /* without descriptors to be had */
#define MESSAGES_BURST 256U                       /* that a helper may send at once, */
#define MESSAGE_USEC (10U * 1000U)                /* and one more each that often */
#define PEER_IDENTIFY_USEC (20U * G_USEC_PER_SEC) /* from the connection to the first message */

/* A connection, until it belongs to a Helper. */
typedef struct Peer {
        Launch *launch;
        int fd;
        uint32_t uid;
        sd_event_source *io, *timer;
        sd_bus_slot *lookup;
        char *unit; /* once systemd told */
} Peer;

struct Launch {
        sd_event *event;
        Systemd *systemd;
        int fd;
        sd_event_source *accept, *pause;
        LaunchStranger stranger;
        void *userdata;
        GHashTable *helpers; /* unit -> Helper, borrowed */
        GPtrArray *peers;
        Peer *current; /* during the stranger callback */
        bool version_told;
};

struct Helper {
        Launch *launch;
        char *unit;
        int fd;
        sd_event_source *io, *timer, *defer;
        sd_event_source *throttle; /* it is not read before that */
        uint64_t allowance;        /* when all its messages so far would have been fine at the least rate */
        SystemdCall *start, *stop;
        sd_bus_slot *query;
        json_t *message;
        int fds[LAUNCH_FDS_MAX];
        size_t n_fds;
        const HelperOps *ops;
        void *userdata;
        SystemdDone stopped;
        void *stopped_userdata;
        bool armed;     /* what is left of an earlier run is gone: who connects now is ours */
        bool connected; /* once; a run has one connection */
        bool launched;  /* the launch message was given, sent or not */
        bool ended;
};

static void close_fds(int *fds, size_t n) {
        for (size_t i = 0; i < n; i++)
                fds[i] = close_fd(fds[i]);
}

static Peer *peer_free(Peer *p) {
        if (!p)
                return NULL;
        if (p->launch)
                (void) g_ptr_array_remove_fast(p->launch->peers, p);
        sd_event_source_disable_unref(p->io);
        sd_event_source_disable_unref(p->timer);
        sd_bus_slot_unref(p->lookup);
        (void) close_fd(p->fd);
        g_free(p->unit);
        g_free(p);
        return NULL;
}

/* ---- Helper ---- */

static void helper_disconnect(Helper *h) {
        h->io = sd_event_source_disable_unref(h->io);
        h->timer = sd_event_source_disable_unref(h->timer);
        h->throttle = sd_event_source_disable_unref(h->throttle);
        h->fd = close_fd(h->fd);
}

static void helper_end(Helper *h, int r, const char *text) {
        if (h->ended)
                return;
        h->ended = true;
        helper_disconnect(h);
        if (h->launch && g_hash_table_lookup(h->launch->helpers, h->unit) == h)
                (void) g_hash_table_remove(h->launch->helpers, h->unit);
        h->ops->end(h, r, text, h->userdata);
}

static int on_throttled(sd_event_source *source, uint64_t usec, void *userdata) {
        Helper *h = userdata;

        h->throttle = sd_event_source_unref(h->throttle);
        (void) sd_event_source_set_enabled(h->io, SD_EVENT_ON);
        return 0;
}

/* A helper may be a guest's by now. One that says more than any of ours has to say is read slowly, and waits for
 * itself. */
static bool is_too_fast(Helper *h) {
        uint64_t now = now_monotonic();

        h->allowance = MAX(h->allowance, now) + MESSAGE_USEC;
        if (h->allowance - now <= MESSAGES_BURST * MESSAGE_USEC)
                return false;
        h->allowance -= MESSAGE_USEC;
        if (sd_event_add_time_relative(h->launch->event, &h->throttle, CLOCK_MONOTONIC,
                    MESSAGES_BURST / 4 * MESSAGE_USEC, 0, on_throttled, h) >= 0)
                (void) sd_event_source_set_enabled(h->io, SD_EVENT_OFF);
        return true;
}

static int on_helper_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Helper *h = userdata;
        json_t *message = NULL;
        int fds[LAUNCH_FDS_MAX];
        size_t n_fds = 0;
        int r;

        if (is_too_fast(h))
                return 0;
        r = wire_recv(fd, &message, fds, &n_fds);
        if (r == -EAGAIN)
                return 0;
        if (r <= 0) {
                if (r < 0)
                        log_warning("%s: its connection failed: %s", h->unit, g_strerror(-r));
                helper_end(h, 0, "the connection ended");
                return 0;
        }
        close_fds(fds, n_fds); /* no helper has a descriptor to give */
        h->ops->message(h, message, h->userdata);
        json_decref(message);
        return 0;
}

/* Sends the launch message with its descriptors, once. */
static int send_launch(Helper *h) {
        int r;

        r = wire_send(h->fd, h->message, h->fds, h->n_fds);
        json_decref(h->message);
        h->message = NULL;
        close_fds(h->fds, h->n_fds);
        h->n_fds = 0;
        return r;
}

/* The peer's connection becomes the helper's, and the launch message goes out where there is one. */
static int helper_take_peer(Helper *h, Peer *p) {
        int r;

        h->fd = take_fd(&p->fd);
        h->connected = true;
        h->timer = sd_event_source_disable_unref(h->timer);
        (void) peer_free(p);
        r = h->message ? send_launch(h) : 0;
        CRASH_POINT(HELPER_TOLD);
        return r < 0 ? r : sd_event_add_io(h->launch->event, &h->io, h->fd, EPOLLIN, on_helper_io, h);
}

/* Connections of an earlier run: nobody of it lives any more. */
static void drop_peers(Launch *l, const char *unit) {
        for (guint i = l->peers->len; i > 0; i--) {
                Peer *p = l->peers->pdata[i - 1];

                if (p->unit && strcmp(p->unit, unit) == 0)
                        (void) peer_free(p);
        }
}

static void on_started(int r, const char *text, void *userdata) {
        Helper *h = userdata;

        h->start = systemd_call_free(h->start);
        if (r < 0)
                helper_end(h, r, text);
}

/* The unit is inactive: now it starts. Where somebody else starts it at this moment, that becomes our start; only what an
 * unknown run may be left of is restarted. */
static int begin_unit(Helper *h, bool anew) {
        Systemd *s = h->launch->systemd;

        drop_peers(h->launch, h->unit);
        h->armed = true;
        CRASH_POINT(HELPER_CLEARED);
        return (anew ? systemd_start_anew : systemd_start)(s, h->unit, on_started, h, &h->start);
}

static void start_unit(Helper *h, bool anew) {
        int r = h->stop ? 0 : begin_unit(h, anew); /* it was ended before it began */

        if (r < 0)
                helper_end(h, r, "systemd could not be asked");
}

static void on_cleared(int r, const char *text, void *userdata) {
        Helper *h = userdata;

        h->start = systemd_call_free(h->start);
        /* Canceled: somebody else starts it at this moment. Our start takes that over. */
        if (r < 0 && r != -ENOENT && r != -ECANCELED)
                helper_end(h, r, text);
        else
                start_unit(h, r == -ECANCELED);
}

/* A unit that does not run is not stopped: systemd would cancel the start of somebody who came before us. */
static void on_state(GHashTable *units, void *userdata) {
        Helper *h = userdata;
        const char *state = units ? g_hash_table_lookup(units, h->unit) ?: "inactive" : "unknown";
        int r;

        h->query = sd_bus_slot_unref(h->query);
        if (strcmp(state, "inactive") == 0 || strcmp(state, "failed") == 0) {
                start_unit(h, false);
                return;
        }
        r = systemd_stop(h->launch->systemd, h->unit, on_cleared, h, &h->start);
        if (r < 0)
                helper_end(h, r, "systemd could not be asked");
}

static int on_connect_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        Helper *h = userdata;

        helper_end(h, -ETIMEDOUT, "the unit did not connect to the launch socket in time");
        return 0;
}

/* Takes the launch message and its descriptors for later. */
static void set_launch(Helper *h, json_t *message, int *fds, const char *const *names, size_t n) {
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++) {
                h->fds[i] = take_fd(&fds[i]);
                (void) json_array_append_new(list, json_string(names[i]));
        }
        h->n_fds = n;
        (void) json_object_set_new(message, "type", json_string("launch"));
        (void) json_object_set_new(message, "fds", list);
        h->message = message;
}

static Helper *helper_new(Launch *l, const char *unit, const HelperOps *ops, void *userdata) {
        Helper *h = g_new0(Helper, 1);

        *h = (Helper){.launch = l, .unit = g_strdup(unit), .fd = -1, .ops = ops, .userdata = userdata};
        (void) g_hash_table_replace(l->helpers, h->unit, h);
        return h;
}

int helper_prepare(Launch *l, const char *unit, const HelperOps *ops, void *userdata, Helper **ret) {
        g_autoptr(Helper) h = NULL;
        int r;

        if (g_hash_table_contains(l->helpers, unit))
                return -EBUSY;
        h = helper_new(l, unit, ops, userdata);
        r = sd_event_add_time_relative(l->event, &h->timer, CLOCK_MONOTONIC, CONNECT_USEC, 0, on_connect_timeout, h);
        if (r < 0)
                return r;
        /* The old run of a VM may be anybody's by now: it is gone before the new one's launch message is there to be
         * had. */
        if (systemd_may_run(l->systemd, unit))
                r = systemd_list(l->systemd, unit, on_state, h, &h->query);
        else
                r = begin_unit(h, false);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&h);
        return 0;
}

int helper_start(Launch *l, const char *unit, json_t *message, int *fds, const char *const *names, size_t n,
        const HelperOps *ops, void *userdata, Helper **ret) {
        Helper *h;
        int r;

        r = helper_prepare(l, unit, ops, userdata, &h);
        if (r < 0) {
                json_decref(message);
                close_fds(fds, n);
                return r;
        }
        r = helper_launch(h, message, fds, names, n);
        if (r < 0) {
                (void) helper_free(h);
                return r;
        }
        *ret = h;
        return 0;
}

int helper_adopt(Launch *l, const HelperOps *ops, void *userdata, Helper **ret) {
        g_autoptr(Helper) h = helper_new(l, l->current->unit, ops, userdata);
        Peer *p = g_steal_pointer(&l->current);
        int r;

        r = helper_take_peer(h, p);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&h);
        return 0;
}

int helper_launch(Helper *h, json_t *message, int *fds, const char *const *names, size_t n) {
        if (n > LAUNCH_FDS_MAX || h->launched || h->ended) {
                json_decref(message);
                close_fds(fds, n);
                return n > LAUNCH_FDS_MAX ? -E2BIG : -ENOTCONN;
        }
        h->launched = true;
        set_launch(h, message, fds, names, n);
        return h->fd < 0 ? 0 : send_launch(h);
}

bool launch_runs(const Launch *l, const char *unit) {
        return g_hash_table_contains(l->helpers, unit);
}

const char *helper_unit(const Helper *h) {
        return h->unit;
}

bool helper_is_connected(const Helper *h) {
        return h->fd >= 0;
}

int helper_send(Helper *h, json_t *message) {
        if (h->fd < 0) {
                json_decref(message);
                return -ENOTCONN;
        }
        return wire_send_new(h->fd, message);
}

int helper_send_fd(Helper *h, json_t *message, int fd) {
        int r = h->fd < 0 ? -ENOTCONN : wire_send(h->fd, message, &fd, 1);

        json_decref(message);
        return r;
}

int helper_send_fds(Helper *h, json_t *message, const int *fds, size_t n) {
        return h->fd < 0 ? -ENOTCONN : wire_send(h->fd, message, fds, n);
}

static void on_stopped(int r, const char *text, void *userdata) {
        Helper *h = userdata;
        SystemdDone done = h->stopped;

        h->stop = systemd_call_free(h->stop);
        h->stopped = NULL;
        if (done)
                done(r, text, h->stopped_userdata);
}

int helper_stop(Helper *h, SystemdDone done, void *userdata) {
        h->stopped = done;
        h->stopped_userdata = userdata;
        if (h->stop)
                return 0;
        return systemd_stop(h->launch->systemd, h->unit, on_stopped, h, &h->stop);
}

Helper *helper_dismiss(Helper *h) {
        if (h && h->fd >= 0)
                (void) wire_send_new(h->fd, json_pack("{s:s}", "type", "goodbye"));
        return helper_free(h);
}

Helper *helper_free(Helper *h) {
        if (!h)
                return NULL;
        h->ended = true;
        helper_disconnect(h);
        if (h->launch && g_hash_table_lookup(h->launch->helpers, h->unit) == h)
                (void) g_hash_table_remove(h->launch->helpers, h->unit);
        sd_bus_slot_unref(h->query);
        (void) systemd_call_free(h->start);
        (void) systemd_call_free(h->stop);
        json_decref(h->message);
        close_fds(h->fds, h->n_fds);
        g_free(h->unit);
        g_free(h);
        return NULL;
}

/* ---- Connections ---- */

static void peer_goodbye(Peer *p) {
        (void) wire_send_new(p->fd, json_pack("{s:s}", "type", "goodbye"));
        (void) peer_free(p);
}

static void peer_dispatch(Peer *p, json_t *hello) {
        Launch *l = p->launch;
        Helper *h = g_hash_table_lookup(l->helpers, p->unit);

        if (h && h->armed && h->fd < 0 && !h->connected && !json_object_get(hello, "boot")) {
                int r = helper_take_peer(h, p);

                if (r < 0)
                        helper_end(h, r, "its launch message could not be sent");
                return;
        }
        if (h) {
                /* QEMU has its monitor's uid: one connection a run, the rest may be a guest's. */
                log_warning("%s: a connection that is not its run's was refused", p->unit);
                peer_goodbye(p);
                return;
        }
        l->current = p;
        l->stranger(p->unit, hello, l->userdata);
        if (l->current)
                peer_goodbye(g_steal_pointer(&l->current));
}

/* Of another build, before an upgrade or after it was taken back; said once, though it asks again and again. */
static bool is_our_version(Peer *p, json_t *hello) {
        json_int_t version = json_integer_value(json_object_get(hello, "version"));

        if (version == LAUNCH_WIRE_VERSION)
                return true;
        if (!p->launch->version_told)
                log_error("%s speaks version %" JSON_INTEGER_FORMAT
                          " of the launch socket's language, this daemon version %d: it is not heard",
                        p->unit, version, LAUNCH_WIRE_VERSION);
        p->launch->version_told = true;
        return false;
}

static int on_peer_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Peer *p = userdata;
        json_t *hello = NULL;
        int fds[LAUNCH_FDS_MAX];
        size_t n_fds = 0;
        int r;

        r = wire_recv(fd, &hello, fds, &n_fds);
        if (r == -EAGAIN)
                return 0;
        if (r <= 0) {
                (void) peer_free(p);
                return 0;
        }
        close_fds(fds, n_fds);
        if (strcmp(wire_type(hello), "hello") == 0 && is_our_version(p, hello))
                peer_dispatch(p, hello);
        else
                (void) peer_free(p);
        json_decref(hello);
        return 0;
}

/* Prefixes of their users and of their units. */
static const char *const kinds[][2] = {{"mcp-vm-", "mcp-vm"}, {"mcp-image-", "mcp-image"}, {"mcp-fetch-", "mcp-fetch"},
        {"mcp-pt-", "mcp-passt"}, {"mcp-tp-", "mcp-tpm"}, {"mcp-kvm-", "mcp-kvm-probe"}};

bool launch_is_helper(const char *unit) {
        const char *at = strchr(unit, '@');

        for (size_t i = 0; at && i < G_N_ELEMENTS(kinds); i++)
                if (strlen(kinds[i][1]) == (size_t) (at - unit) && g_str_has_prefix(unit, kinds[i][1]))
                        return true;
        return false;
}

/* "mcp-vm-web" -> "mcp-vm@web.service"; NULL for a user that is none of ours. */
static char *unit_of_user(const char *user) {
        for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
                if (g_str_has_prefix(user, kinds[i][0]) && user[strlen(kinds[i][0])])
                        return g_strdup_printf("%s@%s.service", kinds[i][1], user + strlen(kinds[i][0]));
        return NULL;
}

static void on_user_found(int r, const char *name, void *userdata) {
        Peer *p = userdata;

        p->unit = r < 0 ? NULL : unit_of_user(name);
        if (!p->unit) {
                log_warning("a connection to the launch socket that is no helper's was refused");
                (void) peer_free(p);
                return;
        }
        systemd_saw(p->launch->systemd, p->unit);
        r = sd_event_add_io(p->launch->event, &p->io, p->fd, EPOLLIN, on_peer_io, p);
        if (r < 0)
                (void) peer_free(p);
}

static int on_peer_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) peer_free(userdata);
        return 0;
}

static unsigned count_peers(Launch *l, uint32_t uid) {
        unsigned n = 0;

        for (guint i = 0; i < l->peers->len; i++)
                n += ((Peer *) l->peers->pdata[i])->uid == uid;
        return n;
}

static int on_accept_again(sd_event_source *source, uint64_t usec, void *userdata) {
        Launch *l = userdata;

        l->pause = sd_event_source_unref(l->pause);
        (void) sd_event_source_set_enabled(l->accept, SD_EVENT_ON);
        return 0;
}

/* Who waits in the socket makes it readable for as long as we have no descriptor for him. */
static void pause_accepting(Launch *l, int error) {
        log_warning("the launch socket rests for a while: %s", g_strerror(error));
        if (sd_event_add_time_relative(
                    l->event, &l->pause, CLOCK_MONOTONIC, ACCEPT_PAUSE_USEC, 0, on_accept_again, l) >= 0)
                (void) sd_event_source_set_enabled(l->accept, SD_EVENT_OFF);
}

static int on_accept(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Launch *l = userdata;
        struct ucred cred;
        socklen_t len = sizeof cred;
        Peer *p;

        fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                        pause_accepting(l, errno);
                return 0;
        }
        if (l->peers->len >= PEERS_UNKNOWN_MAX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
                count_peers(l, cred.uid) >= PEERS_UNKNOWN_PER_UID) {
                (void) close_fd(fd);
                return 0;
        }
        p = g_new0(Peer, 1);
        *p = (Peer){.launch = l, .fd = fd, .uid = cred.uid};
        g_ptr_array_add(l->peers, p);
        if (sd_event_add_time_relative(
                    l->event, &p->timer, CLOCK_MONOTONIC, PEER_IDENTIFY_USEC, 0, on_peer_timeout, p) < 0 ||
                systemd_lookup_user(l->systemd, cred.uid, on_user_found, p, &p->lookup) < 0)
                (void) peer_free(p);
        return 0;
}

Launch *launch_new(sd_event *event, Systemd *systemd, int fd, LaunchStranger stranger, void *userdata) {
        Launch *l = g_new0(Launch, 1);

        *l = (Launch){
                .event = sd_event_ref(event), .systemd = systemd, .fd = fd, .stranger = stranger, .userdata = userdata};
        l->helpers = g_hash_table_new(g_str_hash, g_str_equal);
        l->peers = g_ptr_array_new();
        if (sd_event_add_io(event, &l->accept, fd, EPOLLIN, on_accept, l) < 0)
                return launch_free(l);
        return l;
}

Launch *launch_free(Launch *l) {
        GHashTableIter iter;
        gpointer helper;

        if (!l)
                return NULL;
        while (l->peers->len > 0)
                (void) peer_free(l->peers->pdata[0]);
        g_hash_table_iter_init(&iter, l->helpers);
        while (g_hash_table_iter_next(&iter, NULL, &helper))
                ((Helper *) helper)->launch = NULL;
        g_ptr_array_unref(l->peers);
        g_hash_table_unref(l->helpers);
        sd_event_source_disable_unref(l->accept);
        sd_event_source_disable_unref(l->pause);
        (void) close_fd(l->fd);
        sd_event_unref(l->event);
        g_free(l);
        return NULL;
}
