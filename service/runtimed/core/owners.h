/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/runtime.h"

/* Owners by name: records keep it beside the uid. A uid that has another name now may be another person's, so what it
 * owns under the old one is told in the journal. */

/* For users_new(); userdata is the Runtime. */
void owners_named(uint32_t uid, const char *name, void *userdata);

/* Asks for the names of all who own something. */
void owners_review(Runtime *rt);
