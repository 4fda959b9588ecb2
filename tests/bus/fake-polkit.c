/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plays polkit's authority: yes, no, a challenge, silence, nonsense, and a sudden death. */
#include "rig.h"

#define POLKIT "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"

void question_free(void *p) {
        Question *q = p;

        sd_bus_message_unref(q->message);
        g_hash_table_unref(q->details);
        g_free(q->action);
        g_free(q->subject);
        g_free(q->cancellation);
        g_free(q);
}

static int read_subject(sd_bus_message *m, char **ret) {
        const char *kind, *key, *name = NULL;
        int r;

        r = sd_bus_message_enter_container(m, 'r', "sa{sv}");
        if (r >= 0)
                r = sd_bus_message_read(m, "s", &kind);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = strcmp(key, "name") == 0 ? sd_bus_message_read(m, "v", "s", &name) : sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                *ret = g_strdup_printf("%s %s", kind, name ?: "");
        return r;
}

static int read_details(sd_bus_message *m, GHashTable *details) {
        const char *key, *value;
        int r = sd_bus_message_enter_container(m, 'a', "{ss}");

        while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0)
                (void) g_hash_table_replace(details, g_strdup(key), g_strdup(value));
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static void reply_result(sd_bus_message *m, int authorized, int challenge) {
        assert_true(sd_bus_reply_method_return(m, "(bba{ss})", authorized, challenge, 0) >= 0);
}

static int on_check(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        Question *q = g_new0(Question, 1);
        const char *action, *cancellation;
        uint32_t flags;
        int e;

        q->details = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_ptr_array_add(r->questions, q);
        e = read_subject(m, &q->subject);
        if (e >= 0)
                e = sd_bus_message_read(m, "s", &action);
        if (e >= 0)
                e = read_details(m, q->details);
        if (e >= 0)
                e = sd_bus_message_read(m, "us", &flags, &cancellation);
        if (e < 0) {
                g_string_append(r->alien, "polkit was asked something unreadable\n");
                return e;
        }
        q->action = g_strdup(action);
        q->cancellation = g_strdup(cancellation);
        q->interactive = flags & 1;
        switch (r->answer) {
        case POLKIT_YES:
                reply_result(m, 1, 0);
                break;
        case POLKIT_NO:
                reply_result(m, 0, 0);
                break;
        case POLKIT_CHALLENGE:
                reply_result(m, 0, 1);
                break;
        default:
                q->message = sd_bus_message_ref(m);
        }
        return 1;
}

static int on_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;
        const char *cancellation;

        if (sd_bus_message_read(m, "s", &cancellation) < 0)
                return -EINVAL;
        for (guint i = 0; i < r->questions->len; i++) {
                Question *q = r->questions->pdata[i];

                if (q->cancellation && *cancellation && strcmp(q->cancellation, cancellation) == 0) {
                        q->canceled = true;
                        if (q->message)
                                (void) sd_bus_reply_method_errorf(q->message, POLKIT ".Error.Cancelled", "canceled");
                        q->message = sd_bus_message_unref(q->message);
                }
        }
        return sd_bus_reply_method_return(m, NULL);
}

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
        void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", "test");
}

static int get_features(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
        void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "u", 0);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", on_check, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("CancelCheckAuthorization", "s", "", on_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("BackendName", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("BackendVersion", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("BackendFeatures", "u", get_features, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_SIGNAL("Changed", "", 0),
        SD_BUS_VTABLE_END,
};

/* Before the vtable, which would hold the liar to its signature. */
static int on_object(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Rig *r = userdata;

        if (r->answer != POLKIT_LIE || !sd_bus_message_is_method_call(m, POLKIT ".Authority", "CheckAuthorization"))
                return 0;
        return sd_bus_reply_method_return(m, "s", "yes, of course");
}

void fake_polkit_start(Rig *r) {
        r->polkit = rig_connect(r);
        assert_true(sd_bus_add_object(r->polkit, NULL, POLKIT_PATH, on_object, r) >= 0);
        assert_true(sd_bus_add_object_vtable(r->polkit, NULL, POLKIT_PATH, POLKIT ".Authority", vtable, r) >= 0);
        assert_true(sd_bus_request_name(r->polkit, POLKIT, 0) >= 0);
}

/* Its questions die with it. */
void fake_polkit_crash(Rig *r) {
        for (guint i = 0; i < r->questions->len; i++) {
                Question *q = r->questions->pdata[i];

                q->message = sd_bus_message_unref(q->message);
        }
        sd_bus_close(r->polkit);
        r->polkit = sd_bus_unref(r->polkit);
}

void fake_polkit_answer(Rig *r, Question *q, bool authorized) {
        assert_non_null(q->message);
        reply_result(q->message, authorized, 0);
        q->message = sd_bus_message_unref(q->message);
}

unsigned fake_polkit_open(Rig *r) {
        unsigned n = 0;

        for (guint i = 0; i < r->questions->len; i++)
                n += ((Question *) r->questions->pdata[i])->message != NULL;
        return n;
}

Question *fake_polkit_last(Rig *r) {
        assert_true(r->questions->len > 0);
        return r->questions->pdata[r->questions->len - 1];
}
