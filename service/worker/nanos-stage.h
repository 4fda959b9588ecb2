/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "worker/failure.h"
#include "worker/root-reader.h"

/*
 * The staging tree of a Nanos image: what `ops` may see of a container image. A static program stands alone. A dynamic
 * one is started by its own dynamic linker, which is itself static: so ops is given nothing that it would run on this
 * host to learn its libraries (it does, like ldd), and no library of the host gets into the image.
 */
struct stage {
        struct root_reader *root; /* borrowed */
        const char *architecture; /* borrowed */
        char **environment;       /* borrowed: PATH, LD_LIBRARY_PATH */
        int tree;                 /* directory that mirrors the guest's paths, borrowed */
        int program_dir;          /* where a static program goes, which ops puts into the image by itself; borrowed */
        uint64_t bytes, bytes_max;

        char *program;    /* results: its path in the image; */
        char *executable; /* the file for ops, relative to tree (dynamic) or program_dir (static); */
        bool dynamic;
        GPtrArray *args;   /* argv from 1 on, in the guest */
        GHashTable *taken; /* paths in tree */
};

/* argv[0] is looked up in workdir or PATH. UnsupportedImage for what Nanos cannot run. */
int stage_program(struct stage *s, char **argv, const char *workdir, struct failure *f);

/* What lies at `place` of another image (a volume) goes to an absolute guest path, and over what was there. *left grows
 * by what cannot be taken (links that lead elsewhere, special files). */
int stage_volume(struct stage *s, struct root_reader *image, const char *place, const char *path, unsigned *left,
        struct failure *f);

/* A new file of the tree at an absolute guest path, its directories made; the descriptor. */
int stage_create(struct stage *s, const char *path, struct failure *f);

/* Names in the root of the tree, sorted: a NULL-terminated array, the caller's. */
char **stage_directories(const struct stage *s);

void stage_clear(struct stage *s);
