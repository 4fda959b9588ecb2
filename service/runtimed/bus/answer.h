/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/gate.h"

/* The answers that handlers have in common. */

/* The job's id and path; the caller hears its log from then on. As a CallRun returns. */
int answer_job(Call *c, const Job *job);

/* A reply that is one array of `types`, as "(ss)", to append to; answer_list() sends it, or returns the error r of who could
 * not append. */
int answer_list_new(sd_bus_message *m, const char *types, sd_bus_message **ret);
int answer_list(sd_bus_message *reply, int r);

/* The problem as an error; m is borrowed. */
void answer_problem(sd_bus_message *m, const Problem *problem);

/* A VMDone for calls that return nothing: userdata is the message, whose reference is taken. */
void answer_done(const Problem *problem, void *userdata);
