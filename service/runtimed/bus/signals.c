/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the signals of a turn: what is said, in which order, and that nothing is said which is not so. */
#include "bus/signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/value.h"
#include "core/network.h"
#include "core/vm.h"
#include "shared/log.h"

/* A property and its value before the turn, then after it. */
typedef struct Note {
        const sd_bus_vtable *property;
        sd_bus_message *before, *after;
} Note;

typedef struct Changes {
        char *path;
        const char *interface;
        const sd_bus_vtable *vtable;
        void *subject;
        GArray *notes; /* Note */
} Changes;

/* One signal: an object that came or went (message NULL), or a message. */
typedef struct Entry {
        char *path;
        const char *removed_interface; /* of an object that went */
        sd_bus_message *message;
} Entry;

/* Before what else waits for its turn: what is known to be so is told first. */
#define FLUSH_PRIORITY (SD_EVENT_PRIORITY_NORMAL - 1)

static void note_clear(void *p) {
        Note *n = p;

        sd_bus_message_unref(n->before);
        sd_bus_message_unref(n->after);
}

static void changes_free(void *p) {
        Changes *c = p;

        g_array_unref(c->notes);
        free(c->path);
        g_free(c);
}

static void entry_free(void *p) {
        Entry *e = p;

        g_free(e->path);
        sd_bus_message_unref(e->message);
        g_free(e);
}

static const sd_bus_vtable *find_property(const sd_bus_vtable *vtable, const char *property) {
        for (const sd_bus_vtable *v = vtable; v->type != _SD_BUS_VTABLE_END; v++)
                if (v->type == _SD_BUS_VTABLE_PROPERTY && strcmp(v->x.property.member, property) == 0)
                        return v;
        return NULL;
}

/* A property as told_set() takes it; "" where it cannot be had. */
static char *property_text(Bus *b, const char *path, const char *interface, const sd_bus_vtable *vtable,
        const char *property, void *subject) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *value =
                value_get(b->bus, path, interface, find_property(vtable, property), subject);

        return value_text(value);
}

static char *state_text(Bus *b, const char *path, VM *vm) {
        return property_text(b, path, BUS_INTERFACE("VM"), vm_vtable, "State", vm);
}

static void flush_soon(Bus *b) {
        if (b->announced)
                (void) sd_event_source_set_enabled(b->flush, SD_EVENT_ONESHOT);
}

static Changes *changes_of(Bus *b, char *path, const char *interface, const sd_bus_vtable *vtable, void *subject) {
        Changes *c = g_hash_table_lookup(b->changes, path);

        if (c) {
                free(path);
                return c;
        }
        c = g_new(Changes, 1);
        *c = (Changes){path, interface, vtable, subject, g_array_new(FALSE, FALSE, sizeof(Note))};
        g_array_set_clear_func(c->notes, note_clear);
        g_ptr_array_add(b->changed, c);
        (void) g_hash_table_insert(b->changes, path, c);
        flush_soon(b);
        return c;
}

void signals_note(
        Bus *b, char *path, const char *interface, const sd_bus_vtable *vtable, const char *property, void *subject) {
        Changes *c;
        Note note;

        if (!path)
                return;
        c = changes_of(b, path, interface, vtable, subject);
        note.property = find_property(c->vtable, property);
        if (!note.property)
                return;
        for (guint i = 0; i < c->notes->len; i++)
                if (g_array_index(c->notes, Note, i).property == note.property)
                        return;
        note.before = value_get(b->bus, c->path, c->interface, note.property, c->subject);
        note.after = NULL;
        g_array_append_val(c->notes, note);
}

static void forget_changes(Bus *b, const char *path) {
        Changes *c = g_hash_table_lookup(b->changes, path);

        if (!c)
                return;
        (void) g_hash_table_remove(b->changes, path);
        (void) g_ptr_array_remove(b->changed, c);
}

static void note_all(Bus *b, const char *path, const char *interface, const sd_bus_vtable *vtable,
        const char *const *properties, void *subject) {
        for (; *properties; properties++)
                signals_note(b, strdup(path), interface, vtable, *properties, subject);
}

/* State is in the record, but not each one, and not at once. */
static void review_vm(Bus *b, VM *vm) {
        static const char *const always[] = {"State", "StateReason", "JobPath", NULL};
        static const char *const while_active[] = {"MainPID", "Ready", "Health", "MemoryTarget", "MemoryActual", NULL};
        char *path = bus_vm_path(vm->name);
        bool active = vm->record && vm_state_is_active(vm_state(vm)),
             changed = path && g_hash_table_contains(b->changes, path);

        if (path && told_knows(b->told, path)) {
                g_autofree char *state = state_text(b, path, vm);

                active = active || told_ask(b->told, path, "State", state) == TOLD_OTHER;
                note_all(b, path, BUS_INTERFACE("VM"), vm_vtable, always, vm);
                if (active)
                        note_all(b, path, BUS_INTERFACE("VM"), vm_vtable, while_active, vm);
        } else if (path && told_is_fresh(b->told) && (active || changed))
                note_all(b, path, BUS_INTERFACE("VM"), vm_vtable, while_active, vm);
        free(path);
}

void signals_review(Bus *b) {
        static const char *const counts[] = {"VMCount", "RunningCount", "JobCount", NULL}, *const up[] = {"Up", NULL},
                          *const progress[] = {"Progress", NULL};
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, b->runtime->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                review_vm(b, value);
        g_hash_table_iter_init(&iter, b->runtime->networks);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                char *path = bus_network_path(((Network *) value)->name);

                if (path && told_knows(b->told, path))
                        note_all(b, path, BUS_INTERFACE("Network"), network_vtable, up, value);
                free(path);
        }
        g_hash_table_iter_init(&iter, b->runtime->jobs);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                char *path = bus_job_path(value);

                if (path && told_knows(b->told, path))
                        note_all(b, path, BUS_INTERFACE("Job"), job_vtable, progress, value);
                free(path);
        }
        if (told_knows(b->told, BUS_ROOT))
                note_all(b, BUS_ROOT, BUS_INTERFACE("Manager"), manager_vtable, counts, b);
}

static void add_entry(Bus *b, GPtrArray *list, const char *path, const char *removed_interface, sd_bus_message *m) {
        Entry *e;

        if (list == b->arrivals && !b->loaded) {
                sd_bus_message_unref(m);
                return;
        }
        e = g_new(Entry, 1);
        *e = (Entry){g_strdup(path), removed_interface, m};
        g_ptr_array_add(list, e);
        flush_soon(b);
}

void signals_object_added(Bus *b, const char *path) {
        add_entry(b, b->arrivals, path, NULL, NULL);
}

void signals_send(Bus *b, const char *path, sd_bus_message *m, bool early) {
        if (m)
                add_entry(b, early ? b->arrivals : b->departures, path, NULL, m);
}

/* Whether the object came in this turn; then nobody has heard of it, and nobody will. */
static bool forget_arrival(Bus *b, const char *path) {
        bool found = false;

        for (guint i = b->arrivals->len; i > 0; i--) {
                Entry *e = b->arrivals->pdata[i - 1];

                if (strcmp(e->path, path) != 0)
                        continue;
                found = found || !e->message;
                g_ptr_array_remove_index(b->arrivals, i - 1);
        }
        for (guint i = b->departures->len; found && i > 0; i--)
                if (strcmp(((Entry *) b->departures->pdata[i - 1])->path, path) == 0)
                        g_ptr_array_remove_index(b->departures, i - 1);
        return found;
}

void signals_object_removed(Bus *b, const char *path, const char *interface) {
        forget_changes(b, path);
        told_forget(b->told, path);
        if (!forget_arrival(b, path))
                add_entry(b, b->departures, path, interface, NULL);
}

/* Jobs end with their daemon, but how far they had come is told. */
static bool is_remembered(const Changes *c, const Note *n) {
        return strcmp(c->interface, BUS_INTERFACE("Job")) != 0 || strcmp(n->property->x.property.member, "Progress") == 0;
}

/* Of objects that have records, a daemon that has just come back knows something of before. What has no record, and may
 * have been told, is rather told twice than not at all. */
static bool is_news(const Bus *b, const Changes *c, const Note *n, const char *now) {
        bool changed = !value_equal(n->before, n->after), lasts = strcmp(c->interface, BUS_INTERFACE("VM")) == 0 ||
                                                               strcmp(c->interface, BUS_INTERFACE("Network")) == 0;

        if (!b->reviewing)
                return changed;
        switch (told_ask(b->told, c->path, n->property->x.property.member, now)) {
        case TOLD_SAME:
                return false;
        case TOLD_OTHER:
                return true;
        default:
                return told_is_fresh(b->told) ? lasts || (changed && c->vtable == manager_vtable) : lasts && changed;
        }
}

/* Leaves the notes of what is to be told. */
static void find_news(Bus *b, const Changes *c) {
        for (guint i = c->notes->len; i > 0; i--) {
                Note *n = &g_array_index(c->notes, Note, i - 1);
                g_autofree char *now = NULL;

                n->after = value_get(b->bus, c->path, c->interface, n->property, c->subject);
                if (b->reviewing)
                        now = value_text(n->after);
                if (!n->after || !is_news(b, c, n, now)) {
                        g_array_remove_index(c->notes, i - 1);
                        continue;
                }
                if (!is_remembered(c, n))
                        continue;
                now = now ?: value_text(n->after);
                told_set(b->told, c->path, n->property->x.property.member, now);
        }
}

static int append_note(sd_bus_message *m, const Note *n) {
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', n->property->x.property.member);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', n->property->x.property.signature);
        if (r >= 0)
                r = value_append(m, n->after);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* What sd_bus_emit_properties_changed() would send, without asking for each value once more. */
static void emit_changes(Bus *b, const Changes *c) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *m = NULL;
        int r;

        find_news(b, c);
        if (c->notes->len == 0)
                return;
        r = sd_bus_message_new_signal(b->bus, &m, c->path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', c->interface);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (guint i = 0; i < c->notes->len && r >= 0; i++)
                r = append_note(m, &g_array_index(c->notes, Note, i));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "as", 0);
        if (r >= 0)
                r = sd_bus_send(b->bus, m, NULL);
        if (r < 0 && r != -ENOTCONN)
                log_warning("changes of %s could not be signalled: %s", c->path, g_strerror(-r));
}

/* An object that comes has its values; of a VM that begins with a start, and of a job, this one does not
 * stay. */
static void remember_arrival(Bus *b, const char *path) {
        char *name = bus_vm_name(path);
        VM *vm = name ? runtime_find_vm(b->runtime, name) : NULL;
        Job *job = vm ? NULL : bus_job_of(b, path);
        g_autofree char *text = NULL;

        free(name);
        if (vm && vm->record && vm_state_is_active(vm_state(vm))) {
                text = state_text(b, path, vm);
                told_set(b->told, path, "State", text);
        } else if (job && job->progress > 0) {
                text = property_text(b, path, BUS_INTERFACE("Job"), job_vtable, "Progress", job);
                told_set(b->told, path, "Progress", text);
        }
}

static void emit_entries(Bus *b, GPtrArray *list) {
        for (guint i = 0; i < list->len; i++) {
                Entry *e = list->pdata[i];

                if (e->message)
                        (void) sd_bus_send(b->bus, e->message, NULL);
                else if (e->removed_interface) {
                        /* The object is gone, so its interfaces are named: ours, and those that sd-bus adds to each
                         * object. */
                        const char *interfaces[] = {"org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable",
                                "org.freedesktop.DBus.Properties", e->removed_interface, NULL};

                        (void) sd_bus_emit_interfaces_removed_strv(b->bus, e->path, (char **) interfaces);
                } else {
                        (void) sd_bus_emit_object_added(b->bus, e->path);
                        remember_arrival(b, e->path);
                }
        }
}

static void new_lists(Bus *b) {
        b->changes = g_hash_table_new(g_str_hash, g_str_equal);
        b->changed = g_ptr_array_new_with_free_func(changes_free);
        b->arrivals = g_ptr_array_new_with_free_func(entry_free);
        b->departures = g_ptr_array_new_with_free_func(entry_free);
}

static int on_flush(sd_event_source *source, void *userdata) {
        Bus *b = userdata;
        g_autoptr(GHashTable) changes = b->changes;
        g_autoptr(GPtrArray) changed = b->changed, arrivals = b->arrivals, departures = b->departures;

        new_lists(b);
        (void) sd_event_source_set_enabled(b->flush, SD_EVENT_OFF);

        emit_entries(b, arrivals);
        for (guint i = 0; i < arrivals->len; i++) /* they came with their values */
                (void) g_hash_table_remove(changes, ((Entry *) arrivals->pdata[i])->path);
        for (guint i = 0; i < changed->len; i++) {
                const Changes *c = changed->pdata[i];

                if (g_hash_table_contains(changes, c->path))
                        emit_changes(b, c);
        }
        emit_entries(b, departures);
        return 0;
}

void signals_announce(Bus *b) {
        b->announced = b->reviewing = true;
        (void) on_flush(b->flush, b);
        b->reviewing = false;
}

int signals_new(Bus *b) {
        int r;

        new_lists(b);
        r = sd_event_add_defer(b->event, &b->flush, on_flush, b);
        if (r >= 0)
                r = sd_event_source_set_priority(b->flush, FLUSH_PRIORITY);
        return r < 0 ? r : sd_event_source_set_enabled(b->flush, SD_EVENT_OFF);
}

void signals_free(Bus *b) {
        b->flush = sd_event_source_disable_unref(b->flush);
        g_hash_table_unref(b->changes);
        g_ptr_array_unref(b->changed);
        g_ptr_array_unref(b->arrivals);
        g_ptr_array_unref(b->departures);
}
