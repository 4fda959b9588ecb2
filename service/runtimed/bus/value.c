/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the values of properties, and whether two are the same. Each change of a VM asks for some ten of them, before
 * anybody hears of it. */
#include "bus/value.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

sd_bus_message *value_get(
        sd_bus *bus, const char *path, const char *interface, const sd_bus_vtable *property, void *subject) {
        __attribute__((cleanup(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL;

        if (sd_bus_message_new(bus, &m, SD_BUS_MESSAGE_SIGNAL) < 0)
                return NULL;
        if (property->x.property.get(bus, path, interface, property->x.property.member, m, subject, &error) < 0 ||
                sd_bus_message_seal(m, 1, 0) < 0)
                return sd_bus_message_unref(m);
        return m;
}

/* Basic values of one type, the next of each message. */
static bool next_equal(sd_bus_message *a, sd_bus_message *b, char type) {
        union {
                const char *s;
                uint64_t t;
                uint8_t bytes[8];
        } x = {}, y = {};

        if (sd_bus_message_read_basic(a, type, &x) <= 0 || sd_bus_message_read_basic(b, type, &y) <= 0)
                return false;
        return strchr("sog", type) ? strcmp(x.s, y.s) == 0 : memcmp(x.bytes, y.bytes, sizeof x.bytes) == 0;
}

/* What is left of the containers that both are in. */
static bool rest_equal(sd_bus_message *a, sd_bus_message *b) {
        for (;;) {
                const char *of_a = NULL, *of_b = NULL;
                char type_a = 0, type_b = 0;
                int r = sd_bus_message_peek_type(a, &type_a, &of_a), q = sd_bus_message_peek_type(b, &type_b, &of_b);

                if (r <= 0 || q <= 0)
                        return r == 0 && q == 0;
                if (type_a != type_b)
                        return false;
                if (!strchr("arve", type_a)) {
                        if (!next_equal(a, b, type_a))
                                return false;
                        continue;
                }
                if (strcmp(of_a, of_b) != 0 || sd_bus_message_enter_container(a, type_a, of_a) < 0 ||
                        sd_bus_message_enter_container(b, type_b, of_b) < 0 || !rest_equal(a, b) ||
                        sd_bus_message_exit_container(a) < 0 || sd_bus_message_exit_container(b) < 0)
                        return false;
        }
}

bool value_equal(sd_bus_message *a, sd_bus_message *b) {
        if (!a || !b)
                return a == b;
        return sd_bus_message_rewind(a, 1) >= 0 && sd_bus_message_rewind(b, 1) >= 0 && rest_equal(a, b);
}

int value_append(sd_bus_message *m, sd_bus_message *value) {
        int r = sd_bus_message_rewind(value, 1);

        return r < 0 ? r : sd_bus_message_copy(m, value, 1);
}

static void append_basic(GString *text, sd_bus_message *m, char type) {
        union {
                const char *s;
                uint64_t t;
        } x = {};

        if (sd_bus_message_read_basic(m, type, &x) <= 0)
                return;
        if (strchr("sog", type)) /* its length tells where it ends */
                g_string_append_printf(text, "%c%zu:%s", type, strlen(x.s), x.s);
        else
                g_string_append_printf(text, "%c%" G_GUINT64_FORMAT ",", type, x.t);
}

static void append_rest(GString *text, sd_bus_message *m) {
        const char *contents = NULL;
        char type = 0;

        while (sd_bus_message_peek_type(m, &type, &contents) > 0) {
                if (!strchr("arve", type)) {
                        append_basic(text, m, type);
                        continue;
                }
                g_string_append_printf(text, "%c(", type);
                if (sd_bus_message_enter_container(m, type, contents) < 0)
                        return;
                append_rest(text, m);
                if (sd_bus_message_exit_container(m) < 0)
                        return;
                g_string_append_c(text, ')');
        }
}

char *value_text(sd_bus_message *value) {
        GString *text = g_string_new(NULL);

        if (value && sd_bus_message_rewind(value, 1) >= 0)
                append_rest(text, value);
        return g_string_free(text, FALSE);
}
