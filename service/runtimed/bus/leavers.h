/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/bus.h"

/* Callers that leave while something is done for them. One match for all of them: with one each (sd_bus_track) a few
 * hundred pending calls reach the bus daemon's limit of matches, and then it closes our connection. */

typedef struct Leaver Leaver;

/* The caller has left; who watched frees what it has, with leaver_forget(). */
typedef void (*LeaverGone)(void *userdata);

int leavers_new(Bus *b);

/* All have left, as far as we are concerned. */
void leavers_end(Bus *b);
void leavers_free(Bus *b);

/* To be called before the handler of the sender's message returns: what is said of its end comes after its message. */
Leaver *leaver_watch(Bus *b, sd_bus_message *m, LeaverGone gone, void *userdata);

/* NULL is fine; returns NULL. */
Leaver *leaver_forget(Leaver *l);
