/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/runtime.h"
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

/* Adds the owner's login to the descriptors of a helper: returns the new number of them. */
size_t registry_add_credentials(
        Runtime *rt, uint32_t owner, const RegistryPlace *p, int *fds, const char **names, size_t n);
