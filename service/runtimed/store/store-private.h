/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include "store/store.h"

/* What the files of the store share. */

struct Store {
        int vms, images, cache, networks, jobs, disks;
        GHashTable *temporaries; /* names of the files that workers write */
        uint32_t last_job;       /* has the file ID.last */
};

typedef void (*StoreEntryFound)(int dir, const char *name, void *userdata);

/* For readdir(3), apart from dir; NULL. */
DIR *store_entries_open(int dir);

/* All but "." and "..". */
void store_each_entry(int dir, StoreEntryFound found, void *userdata);

#define STORE_VM_RECORD "meta.json"

/* vms/NAME, opened. */
int store_vm_directory(Store *s, const char *name);

/* Whether it is half of something. */
bool store_is_temporary(const char *name);

/* Removes it where it is half and no worker writes it; whether it did. */
bool store_entry_clean(Store *s, int dir, const char *name);

/* Opens what is no link; flags as open(2). A negative dir is what is returned, so that the error of opening it is passed on. */
int store_file_open(int dir, const char *name, int flags);

/* Opens a directory, which is made where it is missing. */
int store_subdirectory(int dir, const char *name);

/* With the plain files that are in it. */
void store_directory_remove(int dir, const char *name);

/* dir/UID: opened; made where it is missing; removed where it is empty. */
int store_owner_open(int dir, uint32_t owner);
int store_owner_make(int dir, uint32_t owner);
void store_owner_drop(int dir, uint32_t owner);

/* A record: its text, caller frees; written durably; whether it says all that object says, or an older version's part of it. */
int store_text_load(int dir, const char *name, char **ret, size_t *ret_len);
int store_record_save(int dir, const char *name, json_t *object);
bool store_record_is_saved(int dir, const char *name, json_t *object);

/* A file that is half of something until it gets its name. */
int store_temporary_create(Store *s, int dir, char **ret_name);
int store_temporary_commit(Store *s, int dir, const char *tmp, const char *name, mode_t mode);
void store_temporary_discard(Store *s, int dir, const char *tmp);
