/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the GSource that carries the sd-event loop. */
#include "authz/glib-loop.h"

#include <glib.h>

typedef struct EventSource {
        GSource source;
        GPollFD poll;
        sd_event *event;
        GMainLoop *loop;
} EventSource;

static gboolean event_prepare(GSource *source, gint *timeout) {
        EventSource *s = (EventSource *) source;

        *timeout = -1;
        return sd_event_prepare(s->event) > 0;
}

static gboolean event_check(GSource *source) {
        EventSource *s = (EventSource *) source;

        return sd_event_wait(s->event, 0) > 0;
}

static gboolean event_dispatch(GSource *source, GSourceFunc callback, gpointer userdata) {
        EventSource *s = (EventSource *) source;

        if (sd_event_dispatch(s->event) <= 0) {
                g_main_loop_quit(s->loop);
                return G_SOURCE_REMOVE;
        }
        return G_SOURCE_CONTINUE;
}

static GSourceFuncs event_funcs = {
        .prepare = event_prepare,
        .check = event_check,
        .dispatch = event_dispatch,
};

int event_loop_with_glib(sd_event *event) {
        g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
        EventSource *s;
        int r, code;

        s = (EventSource *) g_source_new(&event_funcs, sizeof(EventSource));
        s->event = event;
        s->loop = loop;
        s->poll = (GPollFD){.fd = sd_event_get_fd(event), .events = G_IO_IN | G_IO_HUP | G_IO_ERR};
        g_source_add_poll(&s->source, &s->poll);
        /* Nothing of ours runs this loop within itself. GLib need not take the descriptor out for each dispatch, and wake
         * itself up because it did. */
        g_source_set_can_recurse(&s->source, TRUE);
        (void) g_source_attach(&s->source, NULL);

        g_main_loop_run(loop);

        g_source_destroy(&s->source);
        g_source_unref(&s->source);
        r = sd_event_get_exit_code(event, &code);
        return r < 0 ? r : code;
}
