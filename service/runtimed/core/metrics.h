/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"
#include "shared/netd-wire.h"

/*
 * What VMs use, asked of their monitors, all at once: the answer comes when all have answered, or when
 * METRICS_WAIT_USEC is over with what is known by then. What was heard less than METRICS_FRESH_USEC ago is not asked
 * again, so that a flood of questions costs the monitors one a second.
 */
#define METRICS_WAIT_USEC (2ULL * G_USEC_PER_SEC)
#define METRICS_FRESH_USEC (1ULL * G_USEC_PER_SEC)
#define METRICS_VMS_MAX 4096U   /* in one question */
#define METRICS_QUERIES_MAX 64U /* under way */

/* Once; the VMs are looked up by name again, as some may have gone. */
typedef void (*MetricsDone)(GPtrArray *names, void *userdata);

/* names (char *, with their free function) is taken. Busy when too many are under way. done may be called at once. */
int metrics_ask(Runtime *rt, GPtrArray *names, MetricsDone done, void *userdata, Problem **ret_problem);

/* A boot is over: its numbers are, too. */
void metrics_forget(VM *vm);

/* A monitor's numbers, untrusted; those of the VM's user networking. */
void metrics_are(VM *vm, json_t *message);
void metrics_of_traffic(VM *vm, json_t *message);

/* The kernel's of its TAP, once they were asked for; NULL: it does not know. */
void metrics_of_port(VM *vm, const struct netd_traffic *traffic);

/* For the runtime's list of queries. */
void metrics_query_free(void *query);
