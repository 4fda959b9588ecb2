/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/boot-message.h"

/* The program's environment. */

#define ENVIRONMENT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The value of the first KEY=VALUE with that key, or NULL. list ends with NULL, or is NULL. */
const char *environment_get(char *const *list, const char *key);

/* A copy of given (the strings too), with PATH and HOME added where given has none, and with those of own ("KEY=VALUE",
 * ends with NULL) in place of given's. Ends with NULL; the caller frees with environment_free(). NULL when there is no
 * memory. */
char **environment_new(const struct string_list *given, const char *home, const char *const *own);
char **environment_free(char **list);
