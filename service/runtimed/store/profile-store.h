/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A store of profiles below one directory:
 *   cas/refs/NAME-HASH.json   manifests            cas/objects/HASH    files, by SHA-256
 *   qemu/NAME@DIGEST/         assemblies           qemu/NAME           a symbolic link to the current one
 *   qemu/.verified            which files were seen to hold which bytes
 * Files of cas/ are linked and copied; nothing here writes to one or changes its mode. What is half made begins with
 * ATOMIC_TMP_PREFIX and is removed at start.
 */
typedef struct ProfileStore ProfileStore;

/* Makes what is missing where that may be done. Negative errno: the directory cannot be used. */
int profile_store_open(const char *path, ProfileStore **ret);
ProfileStore *profile_store_free(ProfileStore *s);
const char *profile_store_path(const ProfileStore *s);

/* Manifests' file names, at most PROFILE_REFS_MAX, of any profile. */
GPtrArray *profile_store_refs(ProfileStore *s);

/* Opens one. *ret_id, the caller's, is another one when the file is. -ELOOP for a symbolic link, -EINVAL for what is no
 * file. */
int profile_store_open_ref(ProfileStore *s, const char *file, char **ret_id);
int profile_store_remove_ref(ProfileStore *s, const char *file);

/* New files for a worker to write, O_RDWR; *ret_tmp is the caller's. */
int profile_store_create_ref(ProfileStore *s, char **ret_tmp);
int profile_store_create_object(ProfileStore *s, char **ret_tmp);
void profile_store_discard_ref(ProfileStore *s, const char *tmp);
void profile_store_discard_object(ProfileStore *s, const char *tmp);

/* A file without a name, O_RDWR, for what is as large as a profile and is no part of the store. */
int profile_store_create_scratch(ProfileStore *s);

/* They get their names. An object that is there already and known to be good stays; one that is not is replaced, never
 * written to. profile_store_sync() makes objects durable, and comes before the manifest that names them. */
int profile_store_commit_object(ProfileStore *s, const char *tmp, const char *hash, bool executable);
int profile_store_sync(ProfileStore *s);
int profile_store_commit_ref(ProfileStore *s, const char *tmp, const char *file);

/* Objects: each is called with the hash. */
typedef void (*ProfileObjectFound)(const char *hash, void *userdata);
void profile_store_objects(ProfileStore *s, ProfileObjectFound found, void *userdata);
/* Opens one to be read. -ELOOP for a symbolic link, -EINVAL for what is no file. */
int profile_store_open_object(ProfileStore *s, const char *hash);
/* Bytes that become free; 0 where a link remains. */
int profile_store_remove_object(ProfileStore *s, const char *hash, uint64_t *ret_bytes);

/* ---- Assemblies ---- */

/* Digest of the current assembly, the caller's; NULL without one. */
char *profile_store_current(ProfileStore *s, const char *profile);

/* The current assembly's directory, O_PATH; -ENOENT. */
int profile_store_open_current(ProfileStore *s, const char *profile);

/* Whether a path of the current assembly is a file that can be executed. */
bool profile_store_has_program(ProfileStore *s, const char *profile, const char *path);

/* Removes assemblies of a profile but the current one and those for which keep() is true. */
void profile_store_clean_assemblies(ProfileStore *s, const char *profile,
        bool (*keep)(const char *digest, void *userdata), void *userdata, uint64_t *ret_bytes, uint32_t *ret_count);

typedef struct Assembly Assembly;

/* What a worker has to read for an entry: nothing (fd -1), a file, or a file to be copied to `copy`. The descriptors are the
 * caller's. */
typedef struct AssemblyItem {
        int fd, copy;
} AssemblyItem;

/* verify: nothing is made, everything is read. */
int assembly_begin(ProfileStore *s, const char *profile, const char *digest, bool verify, Assembly **ret);

/* Links an entry into the new directory, or makes room for its copy. Up to two items: *ret_n. Says in *ret_damage, a static
 * text, what is wrong with the store where it is (-EBADMSG). */
int assembly_place(Assembly *a, const char *path, const char *hash, bool executable, AssemblyItem ret[static 2],
        size_t *ret_n, const char **ret_damage);

/* What was given out until now has been read and is good. */
void assembly_settle(Assembly *a);

/* All has been read and is good: what was read is remembered, and the assembly becomes the current one. Frees it. */
int assembly_commit(Assembly *a);
/* Removes what was made and frees it. */
Assembly *assembly_discard(Assembly *a);
