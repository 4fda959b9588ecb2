/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "unit.h"

#include "model/spec.h"

extern const SpecLimits limits;

GPtrArray *problems_new(void);
int parse_object(json_t *object, const SpecLimits *l, GPtrArray *problems, VMSpec **ret);

/* Members of the object in simple quotes, beside an image. */
json_t *object_of(const char *members);
VMSpec *good(const char *members);
void assert_good(const char *members);

/* Exactly one problem, with exactly this text. */
void assert_problem_object(json_t *object, const char *key, const char *expected);
void assert_problem(const char *members, const char *key, const char *expected);
