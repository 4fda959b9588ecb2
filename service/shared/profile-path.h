/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Names in a store of profiles, as the worker that reads foreign manifests and the daemon that acts on them both check
 * them: cas/refs/NAME-HASH.json, cas/objects/HASH, and the paths within a profile. */

#define PROFILE_OBJECTS_MAX 20000U           /* paths of one profile */
#define PROFILE_MANIFEST_MAX (16U << 20)     /* bytes of a manifest */
#define PROFILE_BYTES_MAX (8ULL << 30)       /* bytes of all files of one profile */
#define PROFILE_PATH_BYTES_MAX 512U          /* of one path */
#define PROFILE_PATH_DEPTH_MAX 16U           /* its parts */
#define PROFILE_REFS_MAX 1024U               /* manifests of a store; what comes after is not read */
#define PROFILE_BINARIES_MAX 32U             /* bin/qemu-system-* of one profile */
#define PROFILE_HASH_LENGTH 64U              /* SHA-256 in lower-case hex */
#define PROFILE_BATCH 14U                    /* entries in one request of a worker; each may bring two descriptors */
#define PROFILE_BINARY_PREFIX "qemu-system-" /* of the programs in bin/ that are QEMU */

/* What is expected of such a path or hash, for messages. */
#define PROFILE_PATH_ACCEPTED                                                                                          \
        "a relative path of at most 512 printable ASCII characters and 16 parts, none of them empty, '.' or '..'"
#define PROFILE_HASH_ACCEPTED "64 lower-case hexadecimal digits"

bool profile_path_is_valid(const char *path);
bool profile_hash_is_valid(const char *hash);

/* Whether a file of cas/refs is a manifest of NAME: exactly NAME, '-', 8 to 64 lower-case hexadecimal digits, ".json".
 */
bool profile_ref_is_of(const char *file, const char *name);

/* Whether a path is a program or a loader: what a manifest without modes must make executable. */
bool profile_path_is_executable(const char *path);

/* Whether a path is the bundle's own loader: lib/ld-linux*.so.* or lib/ld-musl-*. */
bool profile_path_is_loader(const char *path);
