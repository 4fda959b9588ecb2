/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "guest/failure.h"

/* Who the program runs as. */

#define ACCOUNT_GROUPS_MAX 256U
#define ACCOUNT_HOME_MAX 1024U

struct account {
        uid_t uid;
        gid_t gid;
        gid_t groups[ACCOUNT_GROUPS_MAX]; /* supplementary ones */
        size_t n_groups;
        char home[ACCOUNT_HOME_MAX]; /* "/" when passwd has none */
};

/* Resolves USER[:GROUP], names or numbers, in the texts of the image's /etc/passwd and /etc/group (NULL: there is
 * none). An empty user is root. A group that is given replaces the one of passwd and all supplementary ones; else the
 * supplementary ones are those that list the user's name. A number need not be in the files, a name must (-ENOENT). */
int account_resolve(
        const char *spec, const char *passwd, const char *group, struct account *ret, struct failure *failure);
