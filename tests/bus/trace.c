/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the trace: every signal of the daemon as text, and whether a property that is signalled has changed. */
#include "rig.h"

static void append_container(GString *out, sd_bus_message *m, char type, const char *contents) {
        static const char closing[] = {['a'] = ']', ['r'] = ')', ['e'] = '}'};

        assert_true(sd_bus_message_enter_container(m, type, contents) >= 0);
        if (type != 'v')
                g_string_append_c(out, type == 'a' ? '[' : type == 'r' ? '(' : '{');
        for (bool first = true; sd_bus_message_at_end(m, false) == 0; first = false) {
                if (!first)
                        g_string_append_c(out, ' ');
                append_value(out, m);
        }
        if (type != 'v')
                g_string_append_c(out, closing[(unsigned char) type]);
        assert_true(sd_bus_message_exit_container(m) >= 0);
}

static void append_basic(GString *out, sd_bus_message *m, char type) {
        union {
                const char *s;
                uint32_t u;
                int32_t i;
                uint64_t t;
                double d;
                uint8_t y;
        } v = {};

        assert_true(sd_bus_message_read_basic(m, type, &v) >= 0);
        switch (type) {
        case 's':
        case 'o':
        case 'g':
                g_string_append(out, v.s);
                break;
        case 'u':
                g_string_append_printf(out, "%u", v.u);
                break;
        case 't':
                g_string_append_printf(out, "%" G_GUINT64_FORMAT, v.t);
                break;
        case 'd':
                g_string_append_printf(out, "%.3f", v.d);
                break;
        case 'b':
                g_string_append(out, v.i ? "true" : "false");
                break;
        default:
                g_string_append_printf(out, "%d", v.i);
        }
}

void append_value(GString *out, sd_bus_message *m) {
        const char *contents;
        char type;

        assert_true(sd_bus_message_peek_type(m, &type, &contents) > 0);
        if (strchr("avre", type))
                append_container(out, m, type, contents);
        else
                append_basic(out, m, type);
}

static const char *suffix(const char *path) {
        return g_str_has_prefix(path, ROOT) ? path + strlen(ROOT) : path;
}

unsigned trace_count(Rig *r, const char *prefix) {
        unsigned n = 0;

        for (int i = -1; (i = trace_find(r, prefix, i + 1)) >= 0;)
                n++;
        return n;
}

void trace_note(Rig *r, const char *text) {
        g_ptr_array_add(r->trace, g_strdup(text));
}

/* One {sv} of a dictionary of properties; *ret_known is what was known of it. */
static void read_property(Rig *r, sd_bus_message *m, const char *path, bool signalled) {
        g_autoptr(GString) value = g_string_new(NULL);
        g_autofree char *key = NULL;
        const char *name, *known;

        assert_true(sd_bus_message_enter_container(m, 'e', "sv") > 0);
        assert_true(sd_bus_message_read(m, "s", &name) > 0);
        append_value(value, m);
        assert_true(sd_bus_message_exit_container(m) >= 0);
        key = g_strdup_printf("%s %s", suffix(path), name);
        known = g_hash_table_lookup(r->known, key);
        if (signalled) {
                g_ptr_array_add(r->trace, g_strdup_printf("changed %s %s=%s", suffix(path), name, value->str));
                if (known && strcmp(known, value->str) == 0)
                        g_string_append_printf(r->unchanged, "%s=%s ", key, value->str);
        }
        (void) g_hash_table_replace(r->known, g_steal_pointer(&key), g_strdup(value->str));
}

static void read_properties(Rig *r, sd_bus_message *m, const char *path, bool signalled) {
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") >= 0);
        while (sd_bus_message_at_end(m, false) == 0)
                read_property(r, m, path, signalled);
        assert_true(sd_bus_message_exit_container(m) >= 0);
}

static void on_properties_changed(Rig *r, sd_bus_message *m) {
        const char *path = sd_bus_message_get_path(m), *interface, *name;

        assert_true(sd_bus_message_read(m, "s", &interface) > 0);
        read_properties(r, m, path, true);
        assert_true(sd_bus_message_enter_container(m, 'a', "s") >= 0);
        while (sd_bus_message_read(m, "s", &name) > 0)
                g_ptr_array_add(r->trace, g_strdup_printf("invalidated %s %s", suffix(path), name));
        assert_true(sd_bus_message_exit_container(m) >= 0);
}

static void on_interfaces_added(Rig *r, sd_bus_message *m) {
        const char *path, *interface;

        assert_true(sd_bus_message_read(m, "o", &path) > 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "{sa{sv}}") >= 0);
        while (sd_bus_message_enter_container(m, 'e', "sa{sv}") > 0) {
                assert_true(sd_bus_message_read(m, "s", &interface) > 0);
                read_properties(r, m, path, false);
                assert_true(sd_bus_message_exit_container(m) >= 0);
        }
        assert_true(sd_bus_message_exit_container(m) >= 0);
        g_ptr_array_add(r->trace, g_strdup_printf("added %s", suffix(path)));
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *member = sd_bus_message_get_member(m);
        Rig *r = userdata;
        GString *text;

        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Properties", "PropertiesChanged"))
                on_properties_changed(r, m);
        else if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded"))
                on_interfaces_added(r, m);
        else {
                text = g_string_new(member);
                while (sd_bus_message_at_end(m, true) == 0) {
                        g_string_append_c(text, ' ');
                        append_value(text, m);
                }
                g_ptr_array_add(r->trace, g_string_free(text, FALSE));
        }
        return 0;
}

void trace_watch(Rig *r) {
        assert_true(sd_bus_add_match(r->caller, NULL, "type='signal',sender='" NAME "'", on_signal, r) >= 0);
}

/* A new daemon, and a subscriber that stays: what it knows of the last one's properties it need not be told again. */
void trace_look(Rig *r) {
        static const char *const interfaces[] = {"org.freedesktop.DBus.Properties"};
        g_autoptr(sd_bus_message) reply = NULL;

        reply = rig_call(r, ROOT, interfaces[0], "GetAll", "s", MANAGER);
        assert_good(reply);
        read_properties(r, reply, ROOT, false);
}

int trace_find(Rig *r, const char *prefix, int from) {
        for (guint i = (guint) MAX(from, 0); i < r->trace->len; i++)
                if (g_str_has_prefix(r->trace->pdata[i], prefix))
                        return (int) i;
        return -1;
}

bool trace_has(Rig *r, const char *prefix) {
        return trace_find(r, prefix, 0) >= 0;
}

void trace_clear(Rig *r) {
        g_ptr_array_set_size(r->trace, 0);
}

void trace_dump(Rig *r) {
        print_error("---- the trace\n");
        for (guint i = 0; i < r->trace->len; i++)
                print_error("%s\n", (char *) r->trace->pdata[i]);
}
