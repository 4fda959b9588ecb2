/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "model/spec-payload.h"

/* a{sv} to JSON and back, by signatures. */

/* A NULL name ends the table. */
typedef SpecMember OptionKey;

/* Reads a method's options. Unknown or doubled keys and other types are InvalidSpec by name. New reference in *ret. */
int message_read_options(sd_bus_message *m, const OptionKey *keys, json_t **ret, sd_bus_error *error);

/* Of a method that has none: any key is refused. */
int message_read_no_options(sd_bus_message *m, sd_bus_error *error);

/* message_read_options() where an option may be Credentials: its values go into payload, the option is {NAME: bytes}. */
int message_read_options_with(
        sd_bus_message *m, const OptionKey *keys, SpecPayload *payload, json_t **ret, sd_bus_error *error);

/* Reads a VM spec: what is mistyped becomes a problem; unknown keys stay for vm_spec_parse() to name. extra (NULL:
 * none) are keys of the method beside those of a spec, for the caller to take out; payload takes what the spec cannot
 * hold; NULL: it is dropped. New reference. */
int message_read_spec(
        sd_bus_message *m, const OptionKey *extra, GPtrArray *problems, SpecPayload *payload, json_t **ret);

/* Appends the spec as a{sv}. */
int message_append_spec(sd_bus_message *m, const VMSpec *spec);
