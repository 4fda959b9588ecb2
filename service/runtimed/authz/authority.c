/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the questions to polkit under way. The call is made by GDBus, with the reply's type:
 * polkit_authority_check_authorization() reads the reply without looking at its type (polkit 122, polkitauthority.c)
 * and does not survive one that is malformed. */
#include "authz/authority.h"

#include <gio/gio.h>

/* The library's own header says its interface may change; it has not since 0.92 (2009). */
#define POLKIT_I_KNOW_API_IS_SUBJECT_TO_CHANGE 1
#include <polkit/polkit.h>

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

struct Authority {
        GCancellable *cancel;
        GDBusConnection *bus;
        bool connecting;
        GPtrArray *waiting; /* AuthorityQuestion: asked before the connection was there */
        guint64 last_id;
};

struct AuthorityQuestion {
        Authority *authority;
        GCancellable *cancel;
        guint timer;
        char *id; /* polkit's name for the question, to cancel it by */
        char *sender, *action;
        GVariant *details;
        bool interactive, sent;
        AuthorityDone done; /* NULL once canceled */
        void *userdata;
        int references; /* the caller's handle until the answer, and the pending call */
};

static void question_unref(AuthorityQuestion *q) {
        if (--q->references > 0)
                return;
        if (q->timer)
                (void) g_source_remove(q->timer);
        g_object_unref(q->cancel);
        g_variant_unref(q->details);
        g_free(q->id);
        g_free(q->sender);
        g_free(q->action);
        g_free(q);
}

static void question_answer(AuthorityQuestion *q, AuthorityAnswer answer, const char *text) {
        AuthorityDone done = q->done;

        if (!done)
                return;
        q->done = NULL;
        done(answer, text, q->userdata);
        question_unref(q);
}

static void on_checked(GObject *object, GAsyncResult *result, gpointer userdata) {
        AuthorityQuestion *q = userdata;
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) reply = g_dbus_connection_call_finish(G_DBUS_CONNECTION(object), result, &error);
        gboolean authorized = FALSE, challenge = FALSE;

        if (reply)
                g_variant_get(reply, "((bb@a{ss}))", &authorized, &challenge, NULL);
        if (!reply)
                question_answer(q, AUTHORITY_REFUSED, error ? error->message : "polkit gave no answer");
        else if (authorized)
                question_answer(q, AUTHORITY_GRANTED, "");
        else if (challenge && !q->interactive)
                question_answer(q, AUTHORITY_CHALLENGE, "polkit would ask a person; allow interactive authorization");
        else
                question_answer(q, AUTHORITY_REFUSED, "polkit refused it");
        question_unref(q);
}

/* CheckAuthorization of polkit's D-Bus interface (polkit 122, org.freedesktop.PolicyKit1.Authority.xml). */
static void question_send(AuthorityQuestion *q) {
        GVariantBuilder subject;
        guint32 flags = q->interactive ? POLKIT_CHECK_AUTHORIZATION_FLAGS_ALLOW_USER_INTERACTION
                                       : POLKIT_CHECK_AUTHORIZATION_FLAGS_NONE;

        g_variant_builder_init(&subject, G_VARIANT_TYPE("a{sv}"));
        g_variant_builder_add(&subject, "{sv}", "name", g_variant_new_string(q->sender));
        q->references++;
        q->sent = true;
        g_dbus_connection_call(q->authority->bus, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization",
                g_variant_new("((sa{sv})s@a{ss}us)", "system-bus-name", &subject, q->action, q->details, flags, q->id),
                G_VARIANT_TYPE("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE, G_MAXINT, q->cancel, on_checked, q);
}

static void on_connected(GObject *object, GAsyncResult *result, gpointer userdata) {
        g_autoptr(GError) error = NULL;
        GDBusConnection *bus = g_bus_get_finish(result, &error);
        g_autoptr(GPtrArray) waiting = NULL;
        Authority *a;

        if (!bus && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
                return;
        a = userdata;
        a->connecting = false;
        a->bus = bus;
        if (bus)
                g_dbus_connection_set_exit_on_close(bus, FALSE);
        waiting = g_steal_pointer(&a->waiting);
        a->waiting = g_ptr_array_new();
        for (guint i = 0; i < waiting->len; i++) {
                AuthorityQuestion *q = waiting->pdata[i];

                if (q->done && bus)
                        question_send(q);
                else
                        question_answer(q, AUTHORITY_REFUSED, error ? error->message : "polkit is not there");
                question_unref(q);
        }
}

/* polkit closes the dialogue; nobody waits for its answer. */
static void question_withdraw(AuthorityQuestion *q) {
        if (q->sent && q->authority->bus)
                g_dbus_connection_call(q->authority->bus, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                        "CancelCheckAuthorization", g_variant_new("(s)", q->id), NULL, G_DBUS_CALL_FLAGS_NO_AUTO_START,
                        -1, NULL, NULL, NULL);
        g_cancellable_cancel(q->cancel);
}

static gboolean on_timeout(gpointer userdata) {
        AuthorityQuestion *q = userdata;

        q->timer = 0;
        question_withdraw(q);
        question_answer(q, AUTHORITY_REFUSED, "polkit did not answer in time");
        return G_SOURCE_REMOVE;
}

static GVariant *make_details(const char *const *pairs) {
        GVariantBuilder details;

        g_variant_builder_init(&details, G_VARIANT_TYPE("a{ss}"));
        for (; pairs && pairs[0]; pairs += 2)
                if (pairs[1])
                        g_variant_builder_add(&details, "{ss}", pairs[0], pairs[1]);
        return g_variant_ref_sink(g_variant_builder_end(&details));
}

AuthorityQuestion *authority_check(Authority *a, const char *sender, const char *action, const char *const *details,
        bool interactive, AuthorityDone done, void *userdata) {
        AuthorityQuestion *q = g_new0(AuthorityQuestion, 1);

        *q = (AuthorityQuestion){.authority = a,
                .cancel = g_cancellable_new(),
                .id = g_strdup_printf("mcp-%" G_GUINT64_FORMAT, ++a->last_id),
                .sender = g_strdup(sender),
                .action = g_strdup(action),
                .details = make_details(details),
                .interactive = interactive,
                .done = done,
                .userdata = userdata,
                .references = 1};
        q->timer = g_timeout_add(
                (guint) ((interactive ? AUTHORITY_INTERACTIVE_USEC : AUTHORITY_USEC) / 1000), on_timeout, q);

        if (a->bus) {
                question_send(q);
                return q;
        }
        q->references++;
        g_ptr_array_add(a->waiting, q);
        if (!a->connecting) {
                a->connecting = true;
                g_bus_get(G_BUS_TYPE_SYSTEM, a->cancel, on_connected, a);
        }
        return q;
}

void authority_question_cancel(AuthorityQuestion *q) {
        if (!q)
                return;
        q->done = NULL;
        question_withdraw(q);
        question_unref(q);
}

Authority *authority_new(void) {
        Authority *a = g_new0(Authority, 1);

        a->cancel = g_cancellable_new();
        a->waiting = g_ptr_array_new();
        return a;
}

Authority *authority_free(Authority *a) {
        if (!a)
                return NULL;
        g_cancellable_cancel(a->cancel);
        g_object_unref(a->cancel);
        g_ptr_array_unref(a->waiting);
        g_clear_object(&a->bus);
        g_free(a);
        return NULL;
}
