/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* How many questions to polkit a user's calls may cause. A question costs polkit, the bus and us a millisecond that
 * others wait, so a user has at most QUESTIONS_PENDING_MAX at once, and one that is asked while another is pending
 * takes a token: QUESTIONS_BURST, of which QUESTIONS_PER_SECOND come back. Calls one after the other take none. */

#define QUESTIONS_PENDING_MAX 8U
#define QUESTIONS_BURST 64U
#define QUESTIONS_PER_SECOND 64U

/* uid -> what it has asked; free with g_hash_table_unref(). */
GHashTable *questions_new(void);

/* Whether the user may ask one more, at now (microseconds, CLOCK_MONOTONIC); then questions_end() is due. What is
 * refused is counted, and logged once a second. */
bool questions_begin(GHashTable *questions, uint32_t uid, uint64_t now);
void questions_end(GHashTable *questions, uint32_t uid);
