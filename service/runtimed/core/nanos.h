/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/image.h"

/*
 * The disks of Nanos guests. One holds a program of an image, its arguments, environment and address: whatever of these
 * changes makes another disk. What is told of them means the same on every host, so a disk can be made on one and be
 * found on another; with which tools it was made is noted beside it, and counts where these are. They lie beside the
 * image they were made of, under the digest of all that is in them, and go with it; an unchanged VM finds its own
 * again.
 */
struct ImageBuild {
        char *key;     /* hex digest of what is in it */
        char *hash;    /* hex SHA-256 of the file */
        char *tools;   /* hex digest of what made it here; "": it came from a registry */
        uint64_t size; /* that it takes on the host's disk */
        uint64_t made_at;
        Stamp stamp; /* of the file when it was hashed */
};

/* Of one image; the oldest that no VM has goes where there are more. */
#define NANOS_BUILDS_MAX 16U

void image_build_free(void *build);
json_t *image_builds_to_json(const Image *i);
void image_builds_from_json(json_t *array, Image *i);

/* What a disk is made of; all borrowed. */
typedef struct NanosWish {
        const VMSpec *spec;
        const char *address, *gateway; /* "10.99.0.2/24"; NULL: by DHCP, or no network */
        int volumes, archives;         /* images of core/storage.h, at the places of spec_mounts(); -1: none */
} NanosWish;

/* ToolMissing, naming the setting. */
int nanos_check_tools(Runtime *rt, Problem **ret_problem);

/* The same, unless the image has disks: whether there is the right one is seen when it starts. */
int nanos_check_start(Runtime *rt, uint32_t owner, const VMSpec *spec, Problem **ret_problem);

typedef struct NanosBuild NanosBuild;

/* build (borrowed) is there and is what was made, or NULL with a problem. The NanosBuild is gone after the call. */
typedef void (*NanosDone)(const ImageBuild *build, const Problem *problem, void *userdata);

/* Finds the disk or has it made of the root image behind root (borrowed), as part of a job (may be NULL) between from
 * and to. *ret is NULL when done was called at once. */
void nanos_ensure(Image *image, int root, const NanosWish *wish, Job *job, double from, double to, NanosDone done,
        void *userdata, NanosBuild **ret);

/* The disk where it is there and sound; NULL. */
const ImageBuild *nanos_find(Image *image, const NanosWish *wish);

/* Takes a temporary file of the store (its name is taken) as the image's disk of that key, once it was hashed. *ret is
 * set before done can be called. */
void nanos_adopt(Image *image, const char *key, char *tmp, Job *job, double from, double to, NanosDone done,
        void *userdata, NanosBuild **ret);

/* Ends it and leaves nothing; done is not called. NULL is fine; returns NULL. */
NanosBuild *nanos_cancel(NanosBuild *b);

/* The file, read-only; a negative errno. */
int nanos_open(Image *image, const char *key);

/* What the disks of the image take. */
uint64_t nanos_bytes(const Image *image);

/* All disks of the image go: it is being removed. */
void nanos_forget(Image *image);
