/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What a VM may take of the host beside its memory and CPUs: the value of the spec's key Limits, and what it is called
 * among the properties of its systemd unit (systemd.resource-control(5)). */

typedef enum VMLimit {
        LIMIT_CPU_WEIGHT,
        LIMIT_CPU_QUOTA, /* usec of CPU time per second */
        LIMIT_MEMORY,    /* bytes, of QEMU and its guest */
        LIMIT_IO_WEIGHT,
        LIMITS_MAX,
} VMLimit;

typedef struct VMLimits {
        uint64_t value[LIMITS_MAX]; /* 0: none */
} VMLimits;

#define LIMIT_WEIGHT_MAX 10000U
#define LIMIT_WEIGHT_DEFAULT 100U /* everybody's; more of it is taken from others */
#define LIMIT_CPU_QUOTA_MIN 10000U
#define LIMIT_CPU_QUOTA_MAX (1024ULL * 1000000ULL)
#define LIMIT_MEMORY_MIN (64ULL << 20)
#define LIMIT_MEMORY_MAX (1ULL << 50)

typedef struct LimitName {
        const char *name; /* in Limits */
        const char *unit; /* as the unit's property */
} LimitName;

/* Indexed by VMLimit. */
extern const LimitName limit_names[LIMITS_MAX];

typedef void (*LimitProblem)(const char *text, void *userdata);

/* From a dictionary of numbers; replaces what is there. False when it is no dictionary. */
bool limits_parse(json_t *object, VMLimits *ret, LimitProblem problem, void *userdata);
json_t *limits_to_json(const VMLimits *limits);

/* Whether it asks for more than others have. */
bool limits_are_above_default(const VMLimits *limits);

bool limits_are_set(const VMLimits *limits);
