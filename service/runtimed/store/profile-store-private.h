/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/profile-store.h"
#include "store/verified.h"

/* Between profile-store.c and profile-assembly.c. Descriptors are negative errnos where a directory cannot be had. */
struct ProfileStore {
        char *path;
        int refs, objects, assemblies;
        Verified *verified;
};

#define VERIFIED_NAME ".verified"

/* "NAME@DIGEST", the caller's. */
char *assembly_name(const char *profile, const char *digest);

/* A fresh temporary name, the caller's. */
char *profile_store_tmp_name(void);

/* Removes a file or a tree without following links; what other links of a file are known to hold stays known. Adds up the
 * bytes that become free where ret_bytes is not NULL. */
void profile_store_remove_tree(ProfileStore *s, int dir, const char *name, uint64_t *ret_bytes);
