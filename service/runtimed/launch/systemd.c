/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the calls to systemd's manager and the match on its JobRemoved signal. */
#include "launch/systemd.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <string.h>

#include "launch/known-units.h"
#include "shared/log.h"

#define DESTINATION "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define INTERFACE "org.freedesktop.systemd1.Manager"

struct Systemd {
        sd_bus *bus;
        sd_bus_slot *match, *subscribe;
        GPtrArray *calls;  /* SystemdCall, borrowed, but for those that nobody waits for */
        GHashTable *early; /* job path -> result of jobs that ended before their call was answered */
        GQueue held;       /* SystemdCall: stops that are sent when the turn is over */
        sd_event_source *release;
        KnownUnits *known;
};

struct SystemdCall {
        Systemd *systemd;
        sd_bus_slot *slot;
        char *unit, *job;
        SystemdDone done;
        void *userdata;
        bool stops, orphan, ended;
        unsigned last; /* what a stop ends, see known-units.h */
};

static SystemdCall *call_new(Systemd *s, const char *unit, SystemdDone done, void *userdata) {
        SystemdCall *c = g_new0(SystemdCall, 1);

        *c = (SystemdCall){.systemd = s, .unit = g_strdup(unit), .done = done, .userdata = userdata};
        g_ptr_array_add(s->calls, c);
        return c;
}

SystemdCall *systemd_call_free(SystemdCall *c) {
        if (!c)
                return NULL;
        if (c->systemd && c->stops && !c->ended) { /* whether it was stopped is still of interest */
                c->orphan = true;
                c->done = NULL;
                return NULL;
        }
        if (c->systemd)
                (void) g_ptr_array_remove_fast(c->systemd->calls, c);
        sd_bus_slot_unref(c->slot);
        g_free(c->unit);
        g_free(c->job);
        g_free(c);
        return NULL;
}

static void orphan_finish(SystemdCall *c, int r, const char *text) {
        /* Without a bus the daemon ends, and its helpers see that. */
        if (r < 0 && r != -ENOENT && r != -ECANCELED && r != -ENOTCONN)
                log_warning("%s could not be stopped: %s", c->unit, text);
        (void) systemd_call_free(c);
}

/* The owner's reference stays valid: it frees the call, in the callback or later. */
static void call_finish(SystemdCall *c, int r, const char *text) {
        SystemdDone done = c->done;

        if (c->ended)
                return;
        c->ended = true;
        c->done = NULL;
        if (c->stops && (r >= 0 || r == -ENOENT))
                known_units_stopped(c->systemd->known, c->unit, c->last);
        if (c->orphan)
                orphan_finish(c, r, text);
        else
                done(r, text, c->userdata);
}

static void finish_by_result(SystemdCall *c, const char *result) {
        g_autofree char *text = NULL;

        if (strcmp(result, "done") == 0 || strcmp(result, "skipped") == 0) {
                call_finish(c, 0, "");
                return;
        }
        text = g_strdup_printf("%s: systemd's job ended with '%s'; see: journalctl -u %s", c->unit, result, c->unit);
        call_finish(c,
                strcmp(result, "canceled") == 0  ? -ECANCELED
                : strcmp(result, "timeout") == 0 ? -ETIMEDOUT
                                                 : -EIO,
                text);
}

/* One that still waits for that job. Calls for one unit may have the same: systemd merges them. */
static SystemdCall *find_by_job(Systemd *s, const char *job) {
        for (guint i = 0; i < s->calls->len; i++) {
                SystemdCall *c = s->calls->pdata[i];

                if (!c->ended && c->job && strcmp(c->job, job) == 0)
                        return c;
        }
        return NULL;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Systemd *s = userdata;
        const char *path, *unit, *result;
        uint32_t id;

        if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
                return 0;
        if (find_by_job(s, path)) {
                SystemdCall *c;

                while ((c = find_by_job(s, path)))
                        finish_by_result(c, result);
                return 0;
        }
        /* Signals and replies come in order from one sender, so a job seen here before its reply is one of ours
         * only when a call for the unit is unanswered. */
        for (guint i = 0; i < s->calls->len; i++) {
                SystemdCall *c = s->calls->pdata[i];

                if (c->slot && !c->job && strcmp(c->unit, unit) == 0)
                        (void) g_hash_table_replace(s->early, g_strdup(path), g_strdup(result));
        }
        return 0;
}

static int on_job_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SystemdCall *c = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        g_autofree char *result = NULL;
        const char *path;

        c->slot = sd_bus_slot_unref(c->slot);
        if (e) {
                int r = -sd_bus_error_get_errno(e);

                if (sd_bus_error_has_name(e, "org.freedesktop.systemd1.NoSuchUnit"))
                        r = -ENOENT;
                call_finish(c, r < 0 ? r : -EIO, e->message ?: e->name);
                return 0;
        }
        if (sd_bus_message_read(m, "o", &path) < 0) {
                call_finish(c, -EBADMSG, "systemd's answer was malformed");
                return 0;
        }
        c->job = g_strdup(path);
        result = g_strdup(g_hash_table_lookup(c->systemd->early, path));
        if (result) {
                (void) g_hash_table_remove(c->systemd->early, path);
                finish_by_result(c, result);
        }
        return 0;
}

static int on_forgotten_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e && !sd_bus_error_has_name(e, "org.freedesktop.systemd1.NoSuchUnit"))
                log_warning("a unit could not be restarted or killed: %s", e->message);
        return 0;
}

static int send_verb(Systemd *s, const char *verb, const char *unit, SystemdCall *c) {
        return sd_bus_call_method_async(s->bus, c ? &c->slot : NULL, DESTINATION, PATH, INTERFACE, verb,
                c ? on_job_reply : on_forgotten_reply, c, "ss", unit, "replace");
}

/* ---- Stops ---- */

/* Sends them, up to the first that cannot be sent. */
static int release_held(Systemd *s) {
        SystemdCall *c;

        while ((c = g_queue_peek_head(&s->held))) {
                int r = send_verb(s, "StopUnit", c->unit, c);

                if (r < 0)
                        return r;
                (void) g_queue_pop_head(&s->held);
        }
        return 0;
}

static int on_release(sd_event_source *source, void *userdata) {
        Systemd *s = userdata;
        int r;

        for (guint n = s->held.length; n > 0 && (r = release_held(s)) < 0; n--)
                call_finish(g_queue_pop_head(&s->held), r, "systemd could not be asked");
        return 0;
}

/* What follows from an end, as the stop of the units of a VM that has ended, goes out behind the signals that tell of
 * it. */
static SystemdCall *hold_stop(Systemd *s, const char *unit, SystemdDone done, void *userdata) {
        SystemdCall *c = call_new(s, unit, done, userdata);

        c->stops = true;
        c->last = known_units_last(s->known, unit);
        g_queue_push_tail(&s->held, c);
        if (sd_event_source_set_enabled(s->release, SD_EVENT_ONESHOT) < 0) /* the loop has ended */
                (void) release_held(s);
        return c;
}

/* Of one unit, stops and starts reach systemd in the order in which they were asked for. */
static int call_unit(
        Systemd *s, const char *verb, const char *unit, SystemdDone done, void *userdata, SystemdCall **ret) {
        SystemdCall *c;
        int r = release_held(s);

        if (r < 0)
                return r;
        known_units_run(s->known, unit);
        c = call_new(s, unit, done, userdata);
        r = send_verb(s, verb, unit, c);
        if (r < 0) {
                (void) systemd_call_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

int systemd_start(Systemd *s, const char *unit, SystemdDone done, void *userdata, SystemdCall **ret) {
        return call_unit(s, "StartUnit", unit, done, userdata, ret);
}

int systemd_start_anew(Systemd *s, const char *unit, SystemdDone done, void *userdata, SystemdCall **ret) {
        return call_unit(s, "RestartUnit", unit, done, userdata, ret);
}

int systemd_stop(Systemd *s, const char *unit, SystemdDone done, void *userdata, SystemdCall **ret) {
        *ret = hold_stop(s, unit, done, userdata);
        return 0;
}

static int on_properties_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SystemdCall *c = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        c->slot = sd_bus_slot_unref(c->slot);
        if (e)
                call_finish(c, -MAX(sd_bus_error_get_errno(e), 1), e->message ?: e->name);
        else
                call_finish(c, 0, "");
        return 0;
}

static int append_properties(sd_bus_message *m, const char *const *names, const uint64_t *values, size_t n) {
        int r = sd_bus_message_open_container(m, 'a', "(sv)");

        for (size_t i = 0; i < n && r >= 0; i++)
                r = sd_bus_message_append(m, "(sv)", names[i], "t", values[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int systemd_set_properties(Systemd *s, const char *unit, const char *const *names, const uint64_t *values, size_t n,
        SystemdDone done, void *userdata, SystemdCall **ret) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *m = NULL;
        SystemdCall *c;
        int r;

        r = sd_bus_message_new_method_call(s->bus, &m, DESTINATION, PATH, INTERFACE, "SetUnitProperties");
        if (r >= 0)
                r = sd_bus_message_append(m, "sb", unit, 1);
        if (r >= 0)
                r = append_properties(m, names, values, n);
        if (r < 0)
                return r;
        c = call_new(s, unit, done, userdata);
        r = sd_bus_call_async(s->bus, &c->slot, m, on_properties_reply, c, 0);
        if (r < 0) {
                (void) systemd_call_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

void systemd_restart_and_forget(Systemd *s, const char *unit) {
        int r = release_held(s);

        if (r >= 0)
                r = send_verb(s, "RestartUnit", unit, NULL);
        if (r < 0)
                log_warning("%s could not be restarted: %s", unit, g_strerror(-r));
}

void systemd_stop_and_forget(Systemd *s, const char *unit) {
        (void) systemd_call_free(hold_stop(s, unit, NULL, NULL));
}

void systemd_saw(Systemd *s, const char *unit) {
        known_units_run(s->known, unit);
}

void systemd_listed(Systemd *s, GHashTable *units) {
        known_units_listed(s->known, units);
}

bool systemd_may_run(const Systemd *s, const char *unit) {
        return known_units_may_run(s->known, unit);
}

void systemd_kill_and_forget(Systemd *s, const char *unit) {
        int r = release_held(s);

        if (r >= 0)
                r = sd_bus_call_method_async(s->bus, NULL, DESTINATION, PATH, INTERFACE, "KillUnit", on_forgotten_reply,
                        NULL, "ssi", unit, "all", SIGKILL);
        if (r < 0 && r != -ENOTCONN)
                log_warning("%s could not be killed: %s", unit, g_strerror(-r));
}

struct lookup {
        SystemdUserFound found;
        void *userdata;
};

static int on_user(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct lookup *l = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *name = NULL;

        if (e)
                l->found(-sd_bus_error_get_errno(e), NULL, l->userdata);
        else if (sd_bus_message_read(m, "s", &name) < 0)
                l->found(-EBADMSG, NULL, l->userdata);
        else
                l->found(0, name, l->userdata);
        return 0;
}

int systemd_lookup_user(Systemd *s, uint32_t uid, SystemdUserFound found, void *userdata, sd_bus_slot **ret) {
        struct lookup *l = g_new(struct lookup, 1);
        int r;

        *l = (struct lookup){found, userdata};
        r = sd_bus_call_method_async(
                s->bus, ret, DESTINATION, PATH, INTERFACE, "LookupDynamicUserByUID", on_user, l, "u", uid);
        if (r < 0) {
                g_free(l);
                return r;
        }
        (void) sd_bus_slot_set_destroy_callback(*ret, g_free);
        return 0;
}

struct listing {
        SystemdUnitsFound found;
        void *userdata;
};

static int on_units(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct listing *l = userdata;
        g_autoptr(GHashTable) units = g_hash_table_new(g_str_hash, g_str_equal);
        const char *unit, *state;
        int r;

        if (sd_bus_message_is_method_error(m, NULL)) {
                l->found(NULL, l->userdata);
                return 0;
        }
        r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "ssssssouso")) > 0) {
                r = sd_bus_message_read(m, "s", &unit);
                if (r >= 0)
                        r = sd_bus_message_skip(m, "ss");
                if (r >= 0)
                        r = sd_bus_message_read(m, "s", &state);
                if (r >= 0) {
                        (void) g_hash_table_insert(units, (gpointer) unit, (gpointer) state);
                        r = sd_bus_message_skip(m, "ssouso");
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        l->found(r >= 0 ? units : NULL, l->userdata);
        return 0;
}

int systemd_list(Systemd *s, const char *pattern, SystemdUnitsFound found, void *userdata, sd_bus_slot **ret) {
        struct listing *l;
        int r = release_held(s); /* what we know to be stopping is */

        if (r < 0)
                return r;
        l = g_new(struct listing, 1);
        *l = (struct listing){found, userdata};
        r = sd_bus_call_method_async(
                s->bus, ret, DESTINATION, PATH, INTERFACE, "ListUnitsByPatterns", on_units, l, "asas", 0, 1, pattern);
        if (r < 0) {
                g_free(l);
                return r;
        }
        (void) sd_bus_slot_set_destroy_callback(*ret, g_free);
        return 0;
}

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e)
                log_warning("systemd does not send its signals: %s", e->message);
        return 0;
}

Systemd *systemd_new(sd_bus *bus) {
        Systemd *s = g_new0(Systemd, 1);

        s->bus = sd_bus_ref(bus);
        s->calls = g_ptr_array_new();
        s->early = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_queue_init(&s->held);
        s->known = known_units_new();
        if (sd_event_add_defer(sd_bus_get_event(bus), &s->release, on_release, s) < 0 ||
                sd_event_source_set_enabled(s->release, SD_EVENT_OFF) < 0 ||
                sd_bus_match_signal_async(
                        bus, &s->match, DESTINATION, PATH, INTERFACE, "JobRemoved", on_job_removed, NULL, s) < 0 ||
                sd_bus_call_method_async(
                        bus, &s->subscribe, DESTINATION, PATH, INTERFACE, "Subscribe", on_subscribed, s, NULL) < 0)
                return systemd_free(s);
        return s;
}

Systemd *systemd_free(Systemd *s) {
        if (!s)
                return NULL;
        (void) release_held(s);
        sd_event_source_disable_unref(s->release);
        while (s->calls->len > 0) {
                SystemdCall *c = g_ptr_array_steal_index_fast(s->calls, s->calls->len - 1);

                c->systemd = NULL;
                if (c->orphan)
                        (void) systemd_call_free(c);
        }
        g_queue_clear(&s->held);
        g_ptr_array_unref(s->calls);
        g_hash_table_unref(s->early);
        known_units_free(s->known);
        sd_bus_slot_unref(s->match);
        sd_bus_slot_unref(s->subscribe);
        sd_bus_unref(s->bus);
        g_free(s);
        return NULL;
}
