/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "store/store.h"

/* What the files of the store share. */

struct Store {
        int vms, images, cache, networks, jobs, disks;
        GHashTable *temporaries; /* names of the files that workers write */
};

/* Opens a directory, which is made where it is missing. */
int store_subdirectory(int dir, const char *name);

void store_each_entry(int dir, void (*each)(int dir, const char *name, void *userdata), void *userdata);

/* A file that is half of something until it gets its name. */
int store_temporary_create(Store *s, int dir, char **ret_name);
int store_temporary_commit(Store *s, int dir, const char *tmp, const char *name, mode_t mode);
void store_temporary_discard(Store *s, int dir, const char *tmp);
