/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/image.h"

/* Between the files of images. */
json_t *image_to_json(const Image *i);
int image_from_json(Runtime *rt, uint32_t owner, const char *hex, json_t *object, Image **ret);
int image_save(const Image *i);
int image_add_reference(Image *i, const char *reference);
void image_set_source(Image *i, const char *reference, const char *digest);

/* It becomes the job's subject, where that is no VM. */
void image_name_job(Image *image, Job *job);

/* What failed, with an errno: NoSpace where there is none, else error. */
Problem *image_problem(const char *error, int r, const char *what);

/* An import within a job: of its progress it takes what is between from and to. */
typedef struct Import Import;
typedef struct ImportRequest {
        uint32_t owner;
        const char *reference; /* the image gets it; borrowed, like path */
        int source;            /* taken, -1: path */
        const char *path;
        const char *architecture; /* as images name it, static; NULL: the host's */
        uint64_t bytes;           /* the image may have at most */
        double from, to;
        char *archive; /* temporary file of the store with the OCI archive, kept beside the image; taken, NULL: none */
        const char *manifest; /* digest that the image must come to; NULL: any */
        const char *resolved; /* digest that the reference stands for, which must lead to it; NULL: none */
} ImportRequest;

/* Once, with the image or a problem (both borrowed); the Import is gone after it. Never from within import_new(). */
typedef void (*ImportDone)(Image *image, const Problem *problem, void *userdata);

int import_new(Runtime *rt, Job *job, const ImportRequest *q, ImportDone done, void *userdata, Import **ret);

/* Ends and undoes it, done is not called. NULL is fine; returns NULL. */
Import *import_cancel(Import *im);
