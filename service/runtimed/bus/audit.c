/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes the audit lines. The caller's unit is asked of systemd and its name of who knows users, so a line may come a
 * moment after its call's reply. */
#include "bus/audit.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <string.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include "core/users.h"

#define UNIT_PREFIX "/org/freedesktop/systemd1/unit"

/* All that a line says, apart from the call, which is over by then. */
typedef struct Line {
        Bus *bus;
        char *method, *object, *actions, *unit, *bus_name, *error;
        const char *answer;
        uint32_t uid, pid;
} Line;

static void line_free(Line *l) {
        g_free(l->method);
        g_free(l->object);
        g_free(l->actions);
        g_free(l->unit);
        g_free(l->bus_name);
        g_free(l->error);
        g_free(l);
}

/* session-3.scope is what logind calls the processes of session 3. */
static char *session_of_unit(const char *unit) {
        if (!g_str_has_prefix(unit, "session-") || !g_str_has_suffix(unit, ".scope"))
                return g_strdup("");
        return g_strndup(unit + strlen("session-"), strlen(unit) - strlen("session-") - strlen(".scope"));
}

static void line_write(const char *user, void *userdata) {
        Line *l = userdata;
        g_autofree char *session = session_of_unit(l->unit);

        (void) sd_journal_send("MESSAGE_ID=" AUDIT_MESSAGE_ID, "PRIORITY=%i", LOG_NOTICE,
                "MESSAGE=%s '%s' by uid %u (%s): %s%s%s", l->method, l->object, l->uid, user, l->answer,
                *l->error ? ", " : "", l->error, "MCP_METHOD=%s", l->method, "MCP_OBJECT=%s", l->object,
                "MCP_ACTION=%s", l->actions, "MCP_ANSWER=%s", l->answer, "MCP_ERROR=%s", l->error, "MCP_CALLER_UID=%u",
                l->uid, "MCP_CALLER_USER=%s", user, "MCP_CALLER_PID=%u", l->pid, "MCP_CALLER_BUS_NAME=%s", l->bus_name,
                "MCP_CALLER_UNIT=%s", l->unit, "MCP_CALLER_SESSION=%s", session, NULL);
        line_free(l);
}

/* All is known but the user's name. Takes the line. */
static void line_finish(Line *l, const char *unit) {
        l->unit = g_strdup(unit);
        users_when_known(l->bus->runtime->users, l->uid, line_write, l);
}

/* A connection stays in its unit, nearly always: it is asked for once. */
static void remember_unit(const Line *l, const char *unit) {
        Caller *caller = g_hash_table_lookup(l->bus->callers, l->bus_name);

        if (caller && !caller->unit)
                caller->unit = g_strdup(unit);
}

/* A question to systemd about a line's unit; without an answer it goes out as it is. */
static void question_free(void *p) {
        Line **line = p;

        if (*line) {
                (*line)->unit = g_strdup("");
                line_write("", *line);
        }
        g_free(line);
}

static int on_unit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Line *l = g_steal_pointer((Line **) userdata);
        const char *path = NULL;
        char *unit = NULL;

        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "o", &path) >= 0)
                (void) sd_bus_path_decode(path, UNIT_PREFIX, &unit);
        remember_unit(l, unit ?: "");
        line_finish(l, unit ?: "");
        free(unit);
        return 0;
}

typedef struct Inquiry {
        Bus *bus;
        char *sender;
} Inquiry;

static void inquiry_free(void *p) {
        Inquiry *q = p;

        g_free(q->sender);
        g_free(q);
}

static int on_new_unit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Inquiry *q = userdata;
        Caller *caller = g_hash_table_lookup(q->bus->callers, q->sender);
        const char *path = NULL;
        char *unit = NULL;

        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "o", &path) >= 0)
                (void) sd_bus_path_decode(path, UNIT_PREFIX, &unit);
        if (caller && unit && !caller->unit)
                caller->unit = g_strdup(unit);
        free(unit);
        return 0;
}

void audit_new_caller(Bus *b, const char *sender, uint32_t pid) {
        Caller *caller = g_hash_table_lookup(b->callers, sender);
        sd_bus_slot *slot = NULL;
        Inquiry *q;

        if (pid == 0 || !caller || caller->asked) /* 0 would be ourselves */
                return;
        caller->asked = true;
        q = g_new(Inquiry, 1);
        *q = (Inquiry){b, g_strdup(sender)};
        if (sd_bus_call_method_async(b->bus, &slot, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                    "org.freedesktop.systemd1.Manager", "GetUnitByPID", on_new_unit, q, "u", pid) < 0) {
                inquiry_free(q);
                return;
        }
        (void) sd_bus_slot_set_destroy_callback(slot, inquiry_free);
        (void) sd_bus_slot_set_floating(slot, 1);
        sd_bus_slot_unref(slot);
}

/* What the call was about, in words. */
static char *describe_object(const Call *c) {
        g_autofree char *job = c->subject == SUBJECT_JOB ? g_strdup_printf("job %u", c->job) : NULL;
        const char *object = c->vm_name          ? c->vm_name
                             : job               ? job
                             : c->image_id       ? c->image_id
                             : c->detail_image   ? c->detail_image
                             : c->detail_network ? c->detail_network
                             : c->detail_profile ? c->detail_profile
                                                 : "";

        return g_strescape(object, NULL);
}

static char *list_actions(const Call *c) {
        GString *actions = g_string_new(NULL);

        for (size_t i = 0; i < c->n_actions; i++)
                g_string_append_printf(actions, "%s" ACTION_PREFIX "%s", i ? " " : "", c->actions[i]);
        return g_string_free(actions, FALSE);
}

void audit_log(const Call *c, const char *answer, const char *error) {
        const Caller *caller = g_hash_table_lookup(c->bus->callers, sd_bus_message_get_sender(c->message));
        sd_bus_slot *slot = NULL;
        Line *l = g_new(Line, 1), **question;

        *l = (Line){.bus = c->bus,
                .method = g_strdup_printf("%s.%s", c->row->interface, c->row->member),
                .object = describe_object(c),
                .actions = list_actions(c),
                .bus_name = g_strdup(sd_bus_message_get_sender(c->message)),
                .error = g_strdup(error ?: ""),
                .answer = answer,
                .uid = c->uid,
                .pid = c->pid};
        if ((caller && caller->unit) || c->pid == 0) {
                line_finish(l, caller && caller->unit ? caller->unit : "");
                return;
        }
        question = g_new(Line *, 1);
        *question = l;
        if (sd_bus_call_method_async(c->bus->bus, &slot, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                    "org.freedesktop.systemd1.Manager", "GetUnitByPID", on_unit, question, "u", c->pid) < 0) {
                question_free(question);
                return;
        }
        (void) sd_bus_slot_set_destroy_callback(slot, question_free);
        (void) sd_bus_slot_set_floating(slot, 1);
        sd_bus_slot_unref(slot);
}
