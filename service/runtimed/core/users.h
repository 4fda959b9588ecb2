/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* Names of users. Who answers for them may be far away (LDAP, sssd) and slow, so a thread asks and nobody waits. */
typedef struct Users Users;

/* A user's name, "" where it has none: when it is known first, and when it is another one. In the main loop. */
typedef void (*UsersNamed)(uint32_t uid, const char *name, void *userdata);

Users *users_new(UsersNamed named, void *userdata);

/* Those who wait are told "" now; lookups under way are forgotten. */
Users *users_free(Users *u);

/* Its name as far as it is known, "" where it is not yet; borrowed until the main loop turns. What is unknown, or was
 * asked a while ago, is asked. */
const char *users_name(Users *u, uint32_t uid);

/* Calls once when it is known, at once where it is; with "" where that cannot be found out, or too many wait. */
typedef void (*UsersKnown)(const char *name, void *userdata);
void users_when_known(Users *u, uint32_t uid, UsersKnown known, void *userdata);
