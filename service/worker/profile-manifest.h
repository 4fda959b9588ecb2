/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/profile-path.h"
#include "worker/failure.h"

/* The manifest of a profile, checked: {name, created_at, objects{path: hash}, profile, qemu_version, build_date,
 * build_host, arch, total_bytes}, and of ours "modes"{path: "0755"} beside it. Pure: bytes in, structure out. */

typedef struct profile_entry {
        char *path;
        char hash[PROFILE_HASH_LENGTH + 1];
        bool executable;
} profile_entry;

typedef struct profile_manifest {
        char *name, *profile;
        char *qemu_version, *build_date, *build_host, *arch; /* "" where they are missing */
        uint64_t created_at;                                 /* microseconds since the epoch */
        uint64_t total_bytes;                                /* 0: it does not say */
        GPtrArray *entries;                                  /* profile_entry, sorted by path */
} profile_manifest;

/* -EBADMSG with ProfileDamaged, or -E2BIG with LimitExceeded, naming key and value. */
int profile_manifest_parse(const char *text, size_t len, profile_manifest **ret, struct failure *f);
void profile_manifest_free(profile_manifest *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(profile_manifest, profile_manifest_free)

/* An empty one, for profile_manifest_add(). */
profile_manifest *profile_manifest_new(const char *profile);
void profile_manifest_add(profile_manifest *m, const char *path, const char *hash, bool executable);

/* What both a read and a made one must be: sorted here, no path twice, none both file and directory, and QEMU in bin/.
 */
int profile_manifest_check(profile_manifest *m, struct failure *f);

/* Its text; the caller frees (free()). */
char *profile_manifest_print(const profile_manifest *m);

/* What the daemon is told of it:
 * {"profile","created_at","qemu_version","arch","bytes","objects","binaries","libraries",
 * "firmware","modules","programs":["qemu-system-..."],"loader":"lib/..."|""}. New reference. */
json_t *profile_manifest_summary(const profile_manifest *m);
