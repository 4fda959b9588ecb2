/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

/* A property's value at some moment: a message that has nothing else, and is sent nowhere. */

/* NULL where it cannot be had; the caller unrefs. subject is what the getter takes. */
sd_bus_message *value_get(
        sd_bus *bus, const char *path, const char *interface, const sd_bus_vtable *property, void *subject);

/* NULL is equal to nothing but NULL. */
bool value_equal(sd_bus_message *a, sd_bus_message *b);

/* Appends it to m, as it would have been appended by its getter. */
int value_append(sd_bus_message *m, sd_bus_message *value);

/* The value in a form that is the same for equal values; "" for NULL. The caller frees (g_free()). */
char *value_text(sd_bus_message *value);
