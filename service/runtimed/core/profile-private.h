/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/profile.h"
#include "core/work.h"

/* Between profile.c, profile-scan.c, profile-assemble.c and profile-import.c. */

void profile_changing(Profile *p, const char *property);
/* All that a new manifest or assembly may change. */
void profile_changing_all(Profile *p);

/* The newest good manifest of each profile becomes its own. */
void profiles_choose(struct Profiles *ps);
/* Takes the reference over, in place of what was known of the file. */
void profiles_add_ref(struct Profiles *ps, ProfileRef *ref);
void profile_ref_free(ProfileRef *ref);
/* From what a worker tells, or what was remembered; -EBADMSG. */
int profile_ref_parse(const char *file, const char *id, const json_t *told, ProfileRef **ret);
void profiles_remember(struct Profiles *ps);

/* Where an import reads. */
typedef struct ProfileSource {
        int fd;               /* taken; -1: path */
        const char *path;     /* below the volume roots */
        const char *version;  /* QEMU's, NULL: not told */
        const char *artifact; /* digest of an artifact's manifest in the OCI archive fd; NULL: fd is the tar */
        const char *place;    /* the reference it was pulled from, with digest; NULL */
        double from;          /* of the job's progress */
} ProfileSource;

/* The rest of a job: it is taken over, and ended. */
void profile_import_into(Profile *p, Job *j, ProfileSource *source);

/* Looks at manifests that are new; done is always called, never at once. */
void profiles_scan(struct Profiles *ps, WaiterDone done, void *userdata, Waiter **ret);
void profile_scan_free(struct ProfileScan *s);

/* Asks for versions that are not known yet. */
void profiles_ask_versions(struct Profiles *ps);
/* What a daemon before heard of files that are the same today. */
void profiles_recall_versions(struct Profiles *ps);
void qemu_versions_free(struct QEMUVersions *v);

void profiles_clean_free(struct ProfilesClean *c);

Assembling *assembling_free(Assembling *a);

/* Problem for a store that is not there. */
int profiles_need_store(struct Profiles *ps, Problem **ret_problem);

/* A failure's name by its errno. */
const char *profile_error_of(int r);
