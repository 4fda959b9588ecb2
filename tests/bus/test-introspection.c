/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The XML that is shipped and the service that runs say the same, in both directions. */
#include "rig.h"

#include <gio/gio.h>

/* One line for each member of an interface, sorted: what a caller can rely on. */
static void describe_args(GString *out, GDBusArgInfo **args, const char *direction) {
        for (; args && *args; args++)
                g_string_append_printf(out, " %s %s:%s", direction, (*args)->name ?: "?", (*args)->signature);
}

static const char *emits_changed(GDBusPropertyInfo *p) {
        const char *value = g_dbus_annotation_info_lookup(p->annotations, "org.freedesktop.DBus.Property.EmitsChangedSignal");

        return value ?: "true";
}

static gint by_text(gconstpointer a, gconstpointer b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static GPtrArray *describe(GDBusInterfaceInfo *info) {
        GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);

        for (GDBusMethodInfo **m = info->methods; m && *m; m++) {
                GString *line = g_string_new("method ");

                g_string_append(line, (*m)->name);
                describe_args(line, (*m)->in_args, "in");
                describe_args(line, (*m)->out_args, "out");
                g_ptr_array_add(lines, g_string_free(line, FALSE));
        }
        for (GDBusSignalInfo **s = info->signals; s && *s; s++) {
                GString *line = g_string_new("signal ");

                g_string_append(line, (*s)->name);
                describe_args(line, (*s)->args, "arg");
                g_ptr_array_add(lines, g_string_free(line, FALSE));
        }
        for (GDBusPropertyInfo **p = info->properties; p && *p; p++)
                g_ptr_array_add(lines,
                        g_strdup_printf("property %s %s %s%s emits %s", (*p)->name, (*p)->signature,
                                (*p)->flags & G_DBUS_PROPERTY_INFO_FLAGS_READABLE ? "r" : "",
                                (*p)->flags & G_DBUS_PROPERTY_INFO_FLAGS_WRITABLE ? "w" : "", emits_changed(*p)));
        g_ptr_array_sort(lines, by_text);
        return lines;
}

static GDBusNodeInfo *node_from_xml(const char *xml) {
        g_autoptr(GError) error = NULL;
        GDBusNodeInfo *node = g_dbus_node_info_new_for_xml(xml, &error);

        if (!node)
                fail_msg("not readable as introspection: %s", error->message);
        return node;
}

static GDBusNodeInfo *introspect(Rig *r, const char *path) {
        g_autoptr(sd_bus_message) reply = rig_call(r, path, "org.freedesktop.DBus.Introspectable", "Introspect", NULL);
        const char *xml;

        assert_good(reply);
        assert_true(sd_bus_message_read(reply, "s", &xml) > 0);
        return node_from_xml(xml);
}

static void report(GPtrArray *here, GPtrArray *there, const char *interface, const char *where, unsigned *n) {
        for (guint i = 0; i < here->len; i++)
                if (!g_ptr_array_find_with_equal_func(there, here->pdata[i], g_str_equal, NULL)) {
                        print_error("%s, only in %s: %s\n", interface, where, (char *) here->pdata[i]);
                        (*n)++;
                }
}

static void compare(Rig *r, const char *path, const char *interface) {
        g_autofree char *file = g_strconcat(INTROSPECTION "/", interface, ".xml", NULL), *text = NULL;
        g_autoptr(GDBusNodeInfo) live = introspect(r, path), shipped = NULL;
        g_autoptr(GPtrArray) of_live = NULL, of_shipped = NULL;
        unsigned differences = 0;

        assert_true(g_file_get_contents(file, &text, NULL, NULL));
        shipped = node_from_xml(text);
        assert_non_null(g_dbus_node_info_lookup_interface(shipped, interface));
        if (!g_dbus_node_info_lookup_interface(live, interface))
                fail_msg("%s does not have %s", path, interface);
        of_live = describe(g_dbus_node_info_lookup_interface(live, interface));
        of_shipped = describe(g_dbus_node_info_lookup_interface(shipped, interface));
        report(of_live, of_shipped, interface, "the service", &differences);
        report(of_shipped, of_live, interface, "the XML", &differences);
        assert_int_equal(differences, 0);
        assert_true(of_live->len > 5);
}

static void test_manager(void **state) {
        compare(*state, ROOT, MANAGER);
}

static void test_image(void **state) {
        Rig *r = *state;
        g_autofree char *path = g_strdup_printf(ROOT "/image/%u/" HEX, r->uid);

        compare(r, path, IMAGE);
}

static void test_network(void **state) {
        compare(*state, ROOT "/network/default", NETWORK);
}

static void test_profile(void **state) {
        compare(*state, ROOT "/profile/kvm_2dlinux", PROFILE);
}

static void test_vm_and_job(void **state) {
        Rig *r = *state;
        g_autoptr(sd_bus_message) reply =
                rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "web", 1, "Image", "s", REFERENCE);

        assert_good(reply);
        compare(r, ROOT "/vm/web", VM);
        compare(r, ROOT "/job/1", JOB);
}

/* Every object is found by walking down from the root, as busctl tree does. */
static void walk(Rig *r, const char *path, GPtrArray *found) {
        g_autoptr(GDBusNodeInfo) node = introspect(r, path);

        for (GDBusInterfaceInfo **i = node->interfaces; i && *i; i++)
                if (g_str_has_prefix((*i)->name, NAME))
                        g_ptr_array_add(found, g_strdup_printf("%s %s", path, (*i)->name + strlen(NAME) + 1));
        for (GDBusNodeInfo **n = node->nodes; n && *n; n++) {
                g_autofree char *child = g_strconcat(strcmp(path, "/") == 0 ? "" : path, "/", (*n)->path, NULL);

                walk(r, child, found);
        }
}

static GPtrArray *managed_objects(Rig *r) {
        g_autoptr(sd_bus_message) reply = rig_call(r, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL);
        GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
        const char *path, *interface;

        assert_good(reply);
        assert_true(sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}") >= 0);
        while (sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}") > 0) {
                assert_true(sd_bus_message_read(reply, "o", &path) > 0);
                assert_true(sd_bus_message_enter_container(reply, 'a', "{sa{sv}}") >= 0);
                while (sd_bus_message_enter_container(reply, 'e', "sa{sv}") > 0) {
                        assert_true(sd_bus_message_read(reply, "s", &interface) > 0);
                        if (g_str_has_prefix(interface, NAME))
                                g_ptr_array_add(found, g_strdup_printf("%s %s", path, interface + strlen(NAME) + 1));
                        assert_true(sd_bus_message_skip(reply, "a{sv}") >= 0);
                        assert_true(sd_bus_message_exit_container(reply) >= 0);
                }
                assert_true(sd_bus_message_exit_container(reply) >= 0);
                assert_true(sd_bus_message_exit_container(reply) >= 0);
        }
        return found;
}

/* The tree and the object manager show the same objects; the manager itself is not one of its own. */
static void test_tree(void **state) {
        Rig *r = *state;
        g_autoptr(GPtrArray) tree = g_ptr_array_new_with_free_func(g_free), managed = NULL;
        g_autoptr(sd_bus_message) reply =
                rig_call(r, ROOT, MANAGER, "RunVM", "sa{sv}", "a.b-c_d", 1, "Image", "s", REFERENCE);
        const char *vm;
        unsigned differences = 0;

        assert_good(reply);
        assert_true(sd_bus_message_read(reply, "o", &vm) > 0);
        walk(r, "/", tree);
        managed = managed_objects(r);
        assert_true(g_ptr_array_find_with_equal_func(tree, ROOT " Manager", g_str_equal, NULL));
        g_ptr_array_add(managed, g_strdup(ROOT " Manager"));
        report(tree, managed, "objects", "the tree", &differences);
        report(managed, tree, "objects", "the object manager", &differences);
        assert_int_equal(differences, 0);
        assert_int_equal(tree->len, 9); /* Manager, image, VM, job, the configuration's network, four profiles */
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_manager, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_image, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_network, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_profile, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_vm_and_job, rig_setup, rig_teardown),
                cmocka_unit_test_setup_teardown(test_tree, rig_setup, rig_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
