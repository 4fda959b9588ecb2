/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/bus.h"

/*
 * Signals of one turn of the loop, sent at its end, after the replies: first objects that came, then properties that
 * changed, then objects and jobs that went. A property is noted before its value changes, and sent only if it is
 * another one at the end.
 */

/* Takes path. property must be static; subject is what the vtable's getters take. */
void signals_note(
        Bus *b, char *path, const char *interface, const sd_bus_vtable *vtable, const char *property, void *subject);

/* InterfacesAdded for path at the end of the turn. */
void signals_object_added(Bus *b, const char *path);

/* InterfacesRemoved; what was noted or added in this turn is forgotten, and an object that nobody has seen goes unseen.
 */
void signals_object_removed(Bus *b, const char *path, const char *interface);

/* A signal of the Manager, with or after the objects that came (early), or after all changes. Takes m (may be NULL).
 * path is the object it is about. */
void signals_send(Bus *b, const char *path, sd_bus_message *m, bool early);

/* We have the name. What changed since the records were read is said, as far as subscribers of the last daemon do not
 * know it. */
void signals_announce(Bus *b);

/* What subscribers of the last daemon may know otherwise: to be called when the records were read. */
void signals_review(Bus *b);

/* The event source that flushes; enabled when there is something. */
int signals_new(Bus *b);
void signals_free(Bus *b);
