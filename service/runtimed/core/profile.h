/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/job.h"
#include "qemu/argv.h"
#include "qemu/profile-table.h"
#include "shared/profile-path.h"
#include "store/profile-store.h"

/*
 * The four profiles as objects: which manifest serves each, what of it is assembled, and QEMU's version. A profile
 * without a manifest is served by the host's QEMU. What manifests say was read by a worker and is checked again here.
 */

/* A manifest of the store. */
typedef struct ProfileRef {
        char *file, *id; /* id: which file it was, see profile_store_open_ref() */
        char *error;     /* why it cannot be used; what follows is then empty */
        ProfileId profile;
        uint64_t created_at;
        char digest[PROFILE_HASH_LENGTH + 1]; /* of the manifest's bytes */
        char *version, *loader;               /* loader: its path, or "" */
        char **programs;                      /* "qemu-system-..." */
        uint32_t binaries, libraries, firmware;
        bool modules; /* QEMU's, in lib/qemu/ */
        char *source; /* REFERENCE@DIGEST that it was pulled from, or NULL; no worker says it */
        uint64_t bytes;
} ProfileRef;

typedef struct Assembling Assembling;

struct Profile {
        Runtime *runtime;
        ProfileId id;
        const char *name;
        ProfileRef *ref;     /* the newest good manifest, or NULL: the host's QEMU; borrowed */
        char *assembled;     /* digest of the current assembly, or NULL */
        char *found_version; /* of a manifest that does not say it; "" not known yet */
        bool version_asked;
        Assembling *assembling; /* under way */
};

struct Profiles {
        Runtime *runtime;
        ProfileStore *store; /* NULL: the directory cannot be used, why says why */
        char *why;
        Profile all[PROFILE_MAX];
        GHashTable *refs;          /* file -> ProfileRef, owned */
        GHashTable *host_versions; /* program's path -> version, "" where it could not be had */
        struct ProfileScan *scan;
        struct QEMUVersions *versions;
        struct ProfilesClean *clean; /* under way */
        GPtrArray *busy; /* imports and verifications under way */
};

struct Profiles *profiles_new(Runtime *rt);
void profiles_free(struct Profiles *p);
/* Reads what is remembered, and begins to look at the rest. */
void profiles_load(Runtime *rt);

/* By name; NULL. */
Profile *profile_find(Runtime *rt, const char *name);
Profile *profile_get(Runtime *rt, ProfileId id);

bool profile_is_assembled(const Profile *p);
/* QEMU's version, "" while it is not known. */
const char *profile_version(const Profile *p);
/* Counts of bin/, lib/, firmware/; of the host's QEMU its programs alone. */
void profile_counts(const Profile *p, uint32_t *ret_binaries, uint32_t *ret_libraries, uint32_t *ret_firmware);

/* Path of the host's own qemu-system-ARCHITECTURE, whether it is there or not; the caller frees. */
char *qemu_host_program(const Config *config, const char *architecture);

/* What runs a guest. Absolute paths; "" where there is none. */
typedef struct ProfilePaths {
        char *binary, *firmware, *libraries;
        char *loader;   /* the bundle's own, or "" */
        bool assembled; /* else the host's */
} ProfilePaths;

void profile_paths_clear(ProfilePaths *paths);

/* NotSupported for an architecture the profile does not take, ToolMissing where nothing serves it. -EAGAIN without a
 * problem: its manifest is not assembled yet. */
int profile_resolve(Profile *p, const char *architecture, ProfilePaths *ret, Problem **ret_problem);

/* What a boot takes of a profile with a manifest. */
typedef struct ProfileBundle {
        char digest[PROFILE_HASH_LENGTH + 1];
        char *program, *loader; /* owned; bundle names them */
        QEMUBundle bundle;
} ProfileBundle;

/* NULL where the host's QEMU serves, or where the manifest has no program for that architecture. */
ProfileBundle *profile_bundle(const Profile *p, const char *architecture);
void profile_bundle_free(ProfileBundle *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProfileBundle, profile_bundle_free)

/* The current assembly's directory, O_PATH. */
int profile_open(const Profile *p);

/* Assembles the newest manifest where that is not done; done is called, perhaps at once, when profile_resolve() can
 * answer. */
void profile_ensure(Profile *p, WaiterDone done, void *userdata, Waiter **ret);

/* (candidate, reason) pairs: each profile for this architecture, and what would serve this one. GPtrArray of char*,
 * even. */
GPtrArray *profile_explain(Profile *p, const char *architecture);

/* Jobs. The archive (taken) or a path below the volume roots; version may be NULL. */
int profile_import(Profile *p, uint32_t owner, int source, const char *path, const char *version, Job **ret,
        Problem **ret_problem);
/* An artifact of a registry (see ARTIFACT_PROFILE) comes into the store as an archive does; the newest manifest and
 * its objects go to one. digest "": whichever it is. */
int profile_pull(Profile *p, uint32_t owner, const char *reference, Job **ret, Problem **ret_problem);
int profile_push(Profile *p, uint32_t owner, const char *digest, const char *destination, Job **ret,
        Problem **ret_problem);
int profile_assemble(Profile *p, uint32_t owner, Job **ret, Problem **ret_problem);
int profile_verify(Profile *p, uint32_t owner, Job **ret, Problem **ret_problem);

/* Removes superseded manifests and objects that no manifest names; ProfileDamaged where one cannot be read. Busy while
 * something is imported or assembled. */
typedef void (*ProfilesCleaned)(uint64_t bytes, uint32_t count, const Problem *problem, void *userdata);
int profiles_clean(Runtime *rt, ProfilesCleaned done, void *userdata, Problem **ret_problem);
