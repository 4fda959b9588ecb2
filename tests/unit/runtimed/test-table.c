/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The authorization table against the vtables, the bus policy and polkit's actions: nothing missing, nothing too much.
 */
#include "unit.h"

#include "authz/table.h"
#include "bus/bus.h"

static const struct {
        const char *interface;
        const sd_bus_vtable *vtable;
} kinds[] = {{"Manager", manager_vtable}, {"VM", vm_vtable}, {"Job", job_vtable}, {"Image", image_vtable},
        {"Network", network_vtable}, {"Profile", profile_vtable}};

static bool vtable_has(const char *interface, const char *member) {
        for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
                for (const sd_bus_vtable *v = kinds[i].vtable; v->type != _SD_BUS_VTABLE_END; v++)
                        if (v->type == _SD_BUS_VTABLE_METHOD && strcmp(kinds[i].interface, interface) == 0 &&
                                strcmp(v->x.method.member, member) == 0)
                                return true;
        return false;
}

static void test_rows_unique(void **state) {
        for (const AuthRow *r = auth_rows(); r->interface; r++)
                assert_ptr_equal(auth_row_find(r->interface, r->member), r);
        assert_null(auth_row_find("VM", "Fly"));
        assert_null(auth_row_find("Manager", "Start"));
}

static void test_method_has_row(void **state) {
        unsigned n = 0;

        for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
                for (const sd_bus_vtable *v = kinds[i].vtable; v->type != _SD_BUS_VTABLE_END; v++) {
                        if (v->type != _SD_BUS_VTABLE_METHOD)
                                continue;
                        n++;
                        if (!auth_row_find(kinds[i].interface, v->x.method.member))
                                fail_msg("%s.%s has no row", kinds[i].interface, v->x.method.member);
                }
        assert_true(n >= 27);
}

static void test_row_has_method(void **state) {
        for (const AuthRow *r = auth_rows(); r->interface; r++)
                if (!vtable_has(r->interface, r->member))
                        fail_msg("%s.%s has a row and is no method", r->interface, r->member);
}

/* sd-bus itself asks for CAP_SYS_ADMIN where the flag is missing; a property that can be set would have no row. */
static void test_flags(void **state) {
        for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
                for (const sd_bus_vtable *v = kinds[i].vtable; v->type != _SD_BUS_VTABLE_END; v++) {
                        if (v->type == _SD_BUS_VTABLE_METHOD && !(v->flags & SD_BUS_VTABLE_UNPRIVILEGED))
                                fail_msg("%s.%s is not marked as unprivileged", kinds[i].interface, v->x.method.member);
                        if (v->type == _SD_BUS_VTABLE_WRITABLE_PROPERTY)
                                fail_msg("%s.%s can be set", kinds[i].interface, v->x.property.member);
                }
}

static void test_rows_sound(void **state) {
        for (const AuthRow *r = auth_rows(); r->interface; r++) {
                if (r->rule == AUTH_ASK && !r->own)
                        fail_msg("%s.%s asks and has no action", r->interface, r->member);
                if (r->rule != AUTH_ASK && r->own)
                        fail_msg("%s.%s does not ask its owner and has an action for that", r->interface, r->member);
                if (r->rule == AUTH_OPEN && r->other)
                        fail_msg("%s.%s is open and has an action", r->interface, r->member);
        }
}

/* ---- The bus policy ---- */

typedef struct Policy {
        GHashTable *allowed; /* "interface member" */
        const char *problem;
        bool default_context, denies_calls;
} Policy;

static const char *attribute(const gchar **names, const gchar **values, const char *name) {
        for (; *names; names++, values++)
                if (strcmp(*names, name) == 0)
                        return *values;
        return NULL;
}

static void on_policy_element(GMarkupParseContext *context, const gchar *element, const gchar **names,
        const gchar **values, gpointer userdata, GError **error) {
        const char *interface = attribute(names, values, "send_interface"),
                   *member = attribute(names, values, "send_member");
        const char *destination = attribute(names, values, "send_destination");
        Policy *p = userdata;

        if (strcmp(element, "policy") == 0)
                p->default_context = g_strcmp0(attribute(names, values, "context"), "default") == 0;
        if (strcmp(element, "deny") == 0 && p->default_context && destination && !interface && !member)
                p->denies_calls = true;
        if (strcmp(element, "allow") != 0 || attribute(names, values, "own"))
                return;
        if (!p->default_context || g_strcmp0(destination, BUS_NAME) != 0 || !interface || !member)
                p->problem = "an allow line that does not name destination, interface and member, or is not for all";
        else if (!g_hash_table_add(p->allowed, g_strdup_printf("%s %s", interface, member)))
                p->problem = "an allow line twice";
}

static void parse(const char *file, const GMarkupParser *parser, void *userdata) {
        GMarkupParseContext *context = g_markup_parse_context_new(parser, 0, userdata, NULL);
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;
        gsize len;

        if (!g_file_get_contents(file, &text, &len, &error) ||
                !g_markup_parse_context_parse(context, text, (gssize) len, &error) ||
                !g_markup_parse_context_end_parse(context, &error))
                fail_msg("%s: %s", file, error->message);
        g_markup_parse_context_free(context);
}

/* Everything that sd-bus answers by itself, and what of it is let through. */
static const char *const standard[] = {
        "org.freedesktop.DBus.Introspectable Introspect",
        "org.freedesktop.DBus.Peer Ping",
        "org.freedesktop.DBus.Peer GetMachineId",
        "org.freedesktop.DBus.Properties Get",
        "org.freedesktop.DBus.Properties GetAll",
        "org.freedesktop.DBus.ObjectManager GetManagedObjects",
};

static void test_bus_policy(void **state) {
        static const GMarkupParser parser = {.start_element = on_policy_element};
        g_autoptr(GHashTable) allowed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        Policy p = {.allowed = allowed};
        GHashTableIter iter;
        gpointer line;

        parse(BUS_POLICY, &parser, &p);
        if (p.problem)
                fail_msg("%s", p.problem);
        assert_true(p.denies_calls);
        for (const AuthRow *r = auth_rows(); r->interface; r++) {
                g_autofree char *key = g_strdup_printf(BUS_INTERFACE("%s") " %s", r->interface, r->member);

                if (!g_hash_table_remove(allowed, key))
                        fail_msg("the bus policy does not let '%s' through", key);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(standard); i++)
                if (!g_hash_table_remove(allowed, standard[i]))
                        fail_msg("the bus policy does not let '%s' through", standard[i]);
        g_hash_table_iter_init(&iter, allowed);
        if (g_hash_table_iter_next(&iter, &line, NULL))
                fail_msg("the bus policy lets '%s' through, which is no method", (char *) line);
}

/* ---- polkit's actions ---- */

typedef struct Action {
        bool has_owner, has_any, has_message, has_description;
} Action;

typedef struct Actions {
        GHashTable *all; /* id -> Action */
        Action *current;
        char *annotation; /* key of the one that is open */
} Actions;

static void on_action_element(GMarkupParseContext *context, const gchar *element, const gchar **names,
        const gchar **values, gpointer userdata, GError **error) {
        Actions *a = userdata;

        if (strcmp(element, "action") == 0) {
                a->current = g_new0(Action, 1);
                if (!g_hash_table_replace(a->all, g_strdup(attribute(names, values, "id")), a->current))
                        fail_msg("an action twice: %s", attribute(names, values, "id"));
        }
        if (strcmp(element, "annotate") == 0) {
                g_free(a->annotation);
                a->annotation = g_strdup(attribute(names, values, "key"));
        }
}

static void on_action_text(
        GMarkupParseContext *context, const gchar *text, gsize len, gpointer userdata, GError **error) {
        const char *element = g_markup_parse_context_get_element(context);
        Actions *a = userdata;

        if (!a->current || !element)
                return;
        if (strcmp(element, "annotate") == 0 && g_strcmp0(a->annotation, "org.freedesktop.policykit.owner") == 0)
                a->current->has_owner = strcmp(text, "unix-user:mcp-runtime") == 0;
        else if (strcmp(element, "allow_any") == 0)
                a->current->has_any = true;
        else if (strcmp(element, "message") == 0)
                a->current->has_message = len > 10;
        else if (strcmp(element, "description") == 0)
                a->current->has_description = len > 5;
}

static void require_action(GHashTable *actions, GHashTable *used, const char *name, const char *why) {
        g_autofree char *id = g_strconcat(ACTION_PREFIX, name, NULL);
        const Action *a = g_hash_table_lookup(actions, id);

        if (!a)
                fail_msg("%s asks for %s, which is no action", why, id);
        else if (!a->has_owner || !a->has_any || !a->has_message || !a->has_description)
                fail_msg("%s lacks its owner annotation, its defaults, its message or its description", id);
        (void) g_hash_table_add(used, g_steal_pointer(&id));
}

static void test_actions(void **state) {
        static const char *const beside[] = {"use-host-path", "publish-port", "attach-bridge", "manage-service"}; /* added to a row's own by a request */
        static const GMarkupParser parser = {.start_element = on_action_element, .text = on_action_text};
        g_autoptr(GHashTable) all = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_autoptr(GHashTable) used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        Actions a = {.all = all};
        GHashTableIter iter;
        gpointer id;

        parse(POLKIT_ACTIONS, &parser, &a);
        g_free(a.annotation);
        for (const AuthRow *r = auth_rows(); r->interface; r++) {
                if (r->own)
                        require_action(all, used, r->own, r->member);
                if (r->other)
                        require_action(all, used, r->other, r->member);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(beside); i++)
                require_action(all, used, beside[i], "a request");
        g_hash_table_iter_init(&iter, all);
        while (g_hash_table_iter_next(&iter, &id, NULL))
                if (!g_hash_table_contains(used, id))
                        fail_msg("nothing asks for %s", (char *) id);
}

/* ---- What a spec adds ---- */

static void test_spec_actions(void **state) {
        PortForward ports[2] = {};
        char user[] = NETWORK_USER, lab[] = "lab", volume[] = "/srv/a", *volumes[] = {volume, NULL};
        VMSpec spec = {.ports = ports, .network = user};
        const char *actions[AUTH_EXTRA_MAX];

        assert_int_equal(auth_spec_actions(&spec, actions), 0);
        assert_int_equal(port_forward_parse("8080:80", &ports[0]), 0);
        spec.n_ports = 1;
        assert_int_equal(auth_spec_actions(&spec, actions), 0);
        assert_int_equal(port_forward_parse("80:80", &ports[1]), 0);
        spec.n_ports = 2;
        assert_int_equal(auth_spec_actions(&spec, actions), 1);
        assert_string_equal(actions[0], "publish-port");
        assert_int_equal(port_forward_parse("443:443", &ports[0]), 0); /* once, however many */
        assert_int_equal(auth_spec_actions(&spec, actions), 1);
        assert_int_equal(port_forward_parse("0.0.0.0:8080:80", &ports[0]), 0); /* for the whole network */
        spec.n_ports = 1;
        assert_int_equal(auth_spec_actions(&spec, actions), 1);
        spec.network = lab; /* its ports take none of the host's */
        assert_int_equal(auth_spec_actions(&spec, actions), 1);
        assert_string_equal(actions[0], "attach-bridge");
        spec.volumes = volumes;
        assert_int_equal(auth_spec_actions(&spec, actions), 2); /* in this order */
        assert_string_equal(actions[0], "attach-bridge");
        assert_string_equal(actions[1], "use-host-path");
        spec = (VMSpec){.network = user, .root_directory = volume};
        assert_int_equal(auth_spec_actions(&spec, actions), 1);
        assert_string_equal(actions[0], "use-host-path");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows_unique),
                cmocka_unit_test(test_method_has_row),
                cmocka_unit_test(test_row_has_method),
                cmocka_unit_test(test_flags),
                cmocka_unit_test(test_rows_sound),
                cmocka_unit_test(test_bus_policy),
                cmocka_unit_test(test_actions),
                cmocka_unit_test(test_spec_actions),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
