/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/probe-text.h"

/* How it is found out that a VM is ready, or in good health: the values of the spec's keys Ready and Health. */

typedef enum probe_kind ProbeKind;

#define PROBE_KINDS "'message', 'console', 'tcp' or 'http'"

const char *probe_kind_to_string(ProbeKind k);
ProbeKind probe_kind_from_string(const char *s);

/* Where it is done: in the guest by its init (tcp and http of a guest without one: by mcp-passt over its network), or
 * outside by who reads its console. */
static inline bool probe_kind_is_inside(ProbeKind k) {
        return k == PROBE_MESSAGE || k == PROBE_TCP || k == PROBE_HTTP;
}

static inline bool probe_kind_is_connection(ProbeKind k) {
        return k == PROBE_TCP || k == PROBE_HTTP;
}

/* Who can probe beside the reader of the console. */
typedef enum ProbeMeans {
        PROBE_BY_INIT,
        PROBE_BY_FRAMES, /* connections only */
        PROBE_BY_NOBODY,
} ProbeMeans;

typedef struct Probe {
        ProbeKind kind;
        char *pattern;                            /* console */
        uint32_t port;                            /* tcp, http */
        char *path;                               /* http */
        uint64_t start_period, interval, timeout; /* usec */
        uint32_t retries;                         /* Health: failures in a row that make a VM unhealthy */
        uint32_t given;                           /* bits of the members that were given, for the checks */
} Probe;

#define PROBE_PERIOD_MAX (3600ULL * 1000000ULL) /* of StartPeriod and Interval */
#define PROBE_TIMEOUT_MAX (600ULL * 1000000ULL)
#define PROBE_RETRIES_MAX 100U

/* Says what is wrong with the value of one member ("Port: 0 is not between 1 and 65535"). */
typedef void (*ProbeProblem)(const char *text, void *userdata);

/* Both set it to the defaults of that key. */
void probe_init_ready(Probe *p);
void probe_init_health(Probe *p);
void probe_clear(Probe *p);

/* From the dictionary, over the defaults; problems are told one by one. False when it is no dictionary. */
bool probe_parse(json_t *object, Probe *p, ProbeProblem problem, void *userdata);

/* The members that its kind has; an empty dictionary for PROBE_NONE. */
json_t *probe_to_json(const Probe *p);

/* What is wrong beyond the types. health: the rules of Health. */
void probe_check(const Probe *p, bool health, ProbeMeans means, ProbeProblem problem, void *userdata);

/* "http 80 1000000 1000000 /path": what guest init or mcp-passt is told (shared/guest-wire.h); NULL where it has
 * nothing to do. */
char *probe_to_guest(const Probe *p);
