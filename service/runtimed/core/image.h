/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/job.h"
#include "model/boot-message.h"
#include "store/stamp.h"

/* An image of one owner: a root file system under its manifest's digest, with the names it was given. */
typedef struct ImageBuild ImageBuild;

struct Image {
        Runtime *runtime;
        uint32_t owner;
        char *owner_name; /* "" unknown; see core/owners.h */
        char *hex; /* of the manifest's digest */
        char *id;  /* "UID/HEX", the key in Runtime.images */
        GPtrArray *references;
        char *root_hash;       /* hex SHA-256 of the root image */
        uint64_t size;         /* of the root image, bytes */
        uint64_t archive_size; /* of the OCI archive beside it, which a push sends; 0: there is none */
        GHashTable *sources;   /* reference -> the digest that a registry gave for it */
        char *architecture;
        char *kind;
        ImageConfig *config;
        uint64_t created_at;
        char *config_digest; /* "sha256:...", "" where there is none */
        char *program;       /* likewise, of a lone program's own bytes */
        char **layers;       /* digests, lowest first */
        Stamp stamp;         /* of the root image when it was verified */
        struct ImageCheck *check;
        GPtrArray *builds; /* ImageBuild, oldest first; see core/nanos.h */
};

void image_free(Image *i);
void images_load(Runtime *rt);

/* By reference or digest ("sha256:..."), among the owner's. */
Image *image_find(Runtime *rt, uint32_t owner, const char *reference);

/* VMs that name it: GPtrArray of VM, borrowed, in the caller's container. */
GPtrArray *image_users(Image *i);

/* First reference or "". */
const char *image_reference(const Image *i);

/* Imports from a descriptor (taken) or, where source is -1, from a path below the volume roots. Several jobs may import
 * the same: the second finds it there. architecture: image_architecture() of what is wanted, NULL: the host's. */
int image_import(Runtime *rt, uint32_t owner, const char *reference, const char *architecture, int source,
        const char *path, Job **ret, Problem **ret_problem);

/* How images name a guest's architecture, static: mostly alike. */
const char *image_architecture(const char *architecture);

/* InvalidSpec where the guest's architecture is not the image's. */
int image_check_architecture(const Image *i, const VMSpec *spec, Problem **ret_problem);

/* Where it comes from, digest by digest: calls each with a key and its value. */
typedef void (*ImageProvenance)(const char *key, const char *value, void *userdata);
void image_provenance(const Image *i, ImageProvenance each, void *userdata);
/* Whether a reference names a registry to pull it from, with DefaultRegistry= where it does not itself. */
bool image_can_be_pulled(Runtime *rt, const char *reference);

/* A pull within a job: the image with that reference, from its registry or, where its digest is here already, from
 * here. done as ImportDone. */
int pull_check(Runtime *rt, uint32_t owner, Problem **ret_problem); /* whether one more may begin: QuotaExceeded */
typedef struct Pull Pull;
typedef void (*PullDone)(Image *image, const Problem *problem, void *userdata);
int pull_new(Runtime *rt, Job *job, uint32_t owner, const char *reference, const char *architecture, double to,
        PullDone done, void *userdata, Pull **ret, Problem **ret_problem);
Pull *pull_cancel(Pull *p);

/* The same as a job of its own; and the way back, to another name. */
int image_pull(Runtime *rt, uint32_t owner, const char *reference, const char *architecture, Job **ret, Problem **ret_problem);
int image_push(Image *i, const char *destination, Job **ret, Problem **ret_problem);

/* ImageInUse while a VM names it. */
int image_remove(Image *i, Problem **ret_problem);
