/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "launch/fd-store.h"

/*
 * What subscribers were told of each object's properties, as hashes, in a memfd that systemd keeps: the next daemon,
 * also after a crash, signals what is another value by now, and nothing that is known already. It is a memory, no
 * truth: where it was lost (the unit was stopped), or is full, a value may be told once more.
 */

typedef struct Told Told;

#define TOLD_ENTRIES 32768U /* of properties that have changed since the objects came */

typedef enum ToldAnswer { TOLD_NOT, TOLD_OTHER, TOLD_SAME } ToldAnswer;

/* store is borrowed, and only used here. NULL without memory: everything works without. */
Told *told_new(FdStore *store);
Told *told_free(Told *t);

/* value: any text that stands for it. t may be NULL in all of these. */
void told_set(Told *t, const char *path, const char *property, const char *value);
ToldAnswer told_ask(const Told *t, const char *path, const char *property, const char *value);

/* Whether nothing has come down from a daemon before. */
bool told_is_fresh(const Told *t);

/* Whether anything of the object was told. */
bool told_knows(const Told *t, const char *path);

/* The object has gone. */
void told_forget(Told *t, const char *path);
