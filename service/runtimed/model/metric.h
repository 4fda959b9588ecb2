/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What is counted of a VM. */

typedef enum Metric {
        METRIC_CPU,
        METRIC_MEMORY,
        METRIC_DISK_READ,
        METRIC_DISK_WRITTEN,
        METRIC_NET_RECEIVED, /* by the guest */
        METRIC_NET_SENT,
        METRICS_MAX,
} Metric;

/* On the bus and in a monitor's answer. */
typedef struct MetricName {
        const char *name, *answer;
} MetricName;

extern const MetricName metric_names[METRICS_MAX];

/* What is known of one VM; part of it. */
typedef struct Metrics {
        uint64_t at;    /* CLOCK_MONOTONIC; 0: never heard */
        uint64_t asked; /* the question under way was asked then; 0: there is none */
        bool traffic_asked;
        bool known[METRICS_MAX];
        uint64_t value[METRICS_MAX];
} Metrics;
