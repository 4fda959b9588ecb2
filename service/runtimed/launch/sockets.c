/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the watch over the directory of the sockets. */
#include "launch/sockets.h"

#include <glib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "shared/launch-wire.h"
#include "shared/log.h"
#include "shared/netd-wire.h"

#define SETTLE_USEC (G_USEC_PER_SEC / 2) /* a socket that is made anew is away for a moment, too */

struct SocketWatch {
        sd_event *event;
        Systemd *systemd;
        sd_event_source *watch, *timer;
};

static const struct {
        const char *path, *unit;
} sockets[] = {
        {NETD_SOCKET_PATH, "mcp-netd.socket"},
        {LAUNCH_SOCKET_PATH, "mcp-runtimed.socket"},
};

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata) {
        SocketWatch *w = userdata;

        w->timer = sd_event_source_unref(w->timer);
        for (size_t i = 0; i < G_N_ELEMENTS(sockets); i++)
                if (access(sockets[i].path, F_OK) < 0) {
                        log_warning("%s was removed; %s is restarted", sockets[i].path, sockets[i].unit);
                        systemd_restart_and_forget(w->systemd, sockets[i].unit);
                }
        return 0;
}

static int on_removed(sd_event_source *source, const struct inotify_event *event, void *userdata) {
        SocketWatch *w = userdata;

        if (!w->timer)
                (void) sd_event_add_time_relative(w->event, &w->timer, CLOCK_MONOTONIC, SETTLE_USEC, 0, on_settled, w);
        return 0;
}

SocketWatch *socket_watch_new(sd_event *event, Systemd *systemd) {
        g_autofree char *directory = g_path_get_dirname(LAUNCH_SOCKET_PATH);
        SocketWatch *w = g_new0(SocketWatch, 1);

        *w = (SocketWatch){.event = sd_event_ref(event), .systemd = systemd};
        if (sd_event_add_inotify(event, &w->watch, directory,
                    IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR, on_removed, w) < 0)
                return socket_watch_free(w);
        return w;
}

SocketWatch *socket_watch_free(SocketWatch *w) {
        if (!w)
                return NULL;
        sd_event_source_disable_unref(w->watch);
        sd_event_source_disable_unref(w->timer);
        sd_event_unref(w->event);
        g_free(w);
        return NULL;
}
