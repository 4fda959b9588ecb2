/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/fetch.h"
#include "model/name.h"

/* What pulls and pushes have in common: a reference as a place in a registry. */
typedef struct RegistryPlace {
        ImageReference parts;
        const char *registry; /* that of the reference, or DefaultRegistry=; borrowed */
        char *repository;     /* registry/path */
        bool insecure;
} RegistryPlace;

/* InvalidName for what is no reference or has no registry. */
int registry_place(Runtime *rt, const char *reference, RegistryPlace *ret, Problem **ret_problem);
void registry_place_clear(RegistryPlace *p);

/* As a place that something is pushed to: InvalidName also where it has a digest, for what ("image") has its own. */
int registry_destination(
        Runtime *rt, const char *destination, const char *what, RegistryPlace *ret, Problem **ret_problem);

/* Runs mcp-fetch with the owner's login for that registry, see fetch_start(). archive is taken, whatever the result. A
 * pull is the job's progress from 0 to `to`, a push that from `from` to 1. */
int registry_pull(Job *job, uint32_t owner, const RegistryPlace *p, const char *architecture, int archive, double to,
        const FetchOps *ops, void *userdata, Fetch **ret);
int registry_push(Job *job, uint32_t owner, const RegistryPlace *p, const char *digest, int archive, double from,
        const FetchOps *ops, void *userdata, Fetch **ret);

/* Artifacts that PullImage takes, when it is told by an option. */
typedef struct ArtifactKind {
        const char *type, *config_type; /* shared/artifact-type.h */
        const char *name, *description; /* "disk", "disk of a Nanos guest" */
        const char *option;
} ArtifactKind;

/* Whether what the reference was resolved to is one of that kind and what was asked for; NULL where it is. */
Problem *registry_check_artifact(const RegistryPlace *p, const char *reference, const char *digest,
        const char *manifest, const char *artifact, const ArtifactKind *kind);
