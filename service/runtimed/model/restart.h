/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/state.h"

/* Restart policies: "no", "on-failure[:N]" (at most N restarts), "always", "unless-stopped". A stop by request always
 * wins. */

typedef enum RestartMode {
        RESTART_NO,
        RESTART_ON_FAILURE,
        RESTART_ALWAYS,
        RESTART_UNLESS_STOPPED,
} RestartMode;

typedef struct RestartPolicy {
        RestartMode mode;
        uint32_t max; /* restarts of on-failure; 0: no limit */
} RestartPolicy;

#define RESTART_MAX 1000U
#define RESTART_ACCEPTED "expected no, on-failure, on-failure:N with N from 1 to 1000, always or unless-stopped"

/* 0 or -EINVAL. */
int restart_policy_parse(const char *text, RestartPolicy *ret);

/* Whether an end is followed by another boot: never one by request (EXIT_KILLED). count: restarts since the last start
 * by request. */
bool restart_policy_applies(const RestartPolicy *p, ExitReason reason, int code, uint32_t count);

/* Whether a VM starts with its host; wanted: it was started, and not stopped, by request. */
bool restart_policy_with_host(const RestartPolicy *p, bool wanted);

/* Microseconds before the n-th restart in a row (from 0): doubling from RESTART_DELAY_MIN to RESTART_DELAY_MAX. */
#define RESTART_DELAY_MIN (100ULL * 1000ULL)
#define RESTART_DELAY_MAX (60ULL * 1000000ULL)
uint64_t restart_delay(uint32_t n);

/* A boot that lasted this long ends the row. */
#define RESTART_GOOD_USEC (600ULL * 1000000ULL)
