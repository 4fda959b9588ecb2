/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the connection to polkit's authority and the questions under way. */
#include "authz/authority.h"

/* The library's own header says its interface may change; it has not since 0.92 (2009). */
#define POLKIT_I_KNOW_API_IS_SUBJECT_TO_CHANGE 1
#include <polkit/polkit.h>

struct Authority {
        GCancellable *cancel;
        PolkitAuthority *polkit;
        bool connecting;
        GPtrArray *waiting; /* AuthorityQuestion, borrowed: asked before polkit's authority was there */
};

struct AuthorityQuestion {
        Authority *authority;
        GCancellable *cancel;
        guint timer;
        char *sender, *action;
        PolkitDetails *details;
        bool interactive;
        AuthorityDone done; /* NULL once canceled */
        void *userdata;
        int references; /* the caller's handle until the answer, and polkit's pending call */
};

static void question_unref(AuthorityQuestion *q) {
        if (--q->references > 0)
                return;
        if (q->timer)
                (void) g_source_remove(q->timer);
        g_object_unref(q->cancel);
        g_clear_object(&q->details);
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
        g_autoptr(PolkitAuthorizationResult) answer = NULL;

        answer = polkit_authority_check_authorization_finish(POLKIT_AUTHORITY(object), result, &error);
        if (!answer)
                question_answer(q, AUTHORITY_REFUSED, error ? error->message : "polkit gave no answer");
        else if (polkit_authorization_result_get_is_authorized(answer))
                question_answer(q, AUTHORITY_GRANTED, "");
        else if (polkit_authorization_result_get_is_challenge(answer) && !q->interactive)
                question_answer(q, AUTHORITY_CHALLENGE, "polkit would ask a person; allow interactive authorization");
        else
                question_answer(q, AUTHORITY_REFUSED, "polkit refused it");
        question_unref(q);
}

static void question_send(AuthorityQuestion *q) {
        g_autoptr(PolkitSubject) subject = polkit_system_bus_name_new(q->sender);

        q->references++;
        polkit_authority_check_authorization(q->authority->polkit, subject, q->action, q->details,
                q->interactive ? POLKIT_CHECK_AUTHORIZATION_FLAGS_ALLOW_USER_INTERACTION
                               : POLKIT_CHECK_AUTHORIZATION_FLAGS_NONE,
                q->cancel, on_checked, q);
}

static void on_authority(GObject *object, GAsyncResult *result, gpointer userdata) {
        g_autoptr(GError) error = NULL;
        PolkitAuthority *polkit = polkit_authority_get_finish(result, &error);
        g_autoptr(GPtrArray) waiting = NULL;
        Authority *a;

        if (!polkit && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
                return;
        a = userdata;
        a->connecting = false;
        a->polkit = polkit;
        waiting = g_steal_pointer(&a->waiting);
        a->waiting = g_ptr_array_new();
        for (guint i = 0; i < waiting->len; i++) {
                AuthorityQuestion *q = waiting->pdata[i];

                if (q->done && polkit)
                        question_send(q);
                else
                        question_answer(q, AUTHORITY_REFUSED, error ? error->message : "polkit is not there");
                question_unref(q);
        }
}

static gboolean on_timeout(gpointer userdata) {
        AuthorityQuestion *q = userdata;

        q->timer = 0;
        g_cancellable_cancel(q->cancel);
        question_answer(q, AUTHORITY_REFUSED, "polkit did not answer in time");
        return G_SOURCE_REMOVE;
}

static PolkitDetails *make_details(const char *const *pairs) {
        PolkitDetails *details = polkit_details_new();

        for (; pairs && pairs[0]; pairs += 2)
                if (pairs[1])
                        polkit_details_insert(details, pairs[0], pairs[1]);
        return details;
}

AuthorityQuestion *authority_check(Authority *a, const char *sender, const char *action, const char *const *details,
        bool interactive, AuthorityDone done, void *userdata) {
        AuthorityQuestion *q = g_new0(AuthorityQuestion, 1);

        *q = (AuthorityQuestion){.authority = a,
                .cancel = g_cancellable_new(),
                .sender = g_strdup(sender),
                .action = g_strdup(action),
                .details = make_details(details),
                .interactive = interactive,
                .done = done,
                .userdata = userdata,
                .references = 1};
        q->timer = g_timeout_add(
                (guint) ((interactive ? AUTHORITY_INTERACTIVE_USEC : AUTHORITY_USEC) / 1000), on_timeout, q);

        if (a->polkit) {
                question_send(q);
                return q;
        }
        q->references++;
        g_ptr_array_add(a->waiting, q);
        if (!a->connecting) {
                a->connecting = true;
                polkit_authority_get_async(a->cancel, on_authority, a);
        }
        return q;
}

void authority_question_cancel(AuthorityQuestion *q) {
        if (!q)
                return;
        q->done = NULL;
        g_cancellable_cancel(q->cancel);
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
        g_clear_object(&a->polkit);
        g_free(a);
        return NULL;
}
