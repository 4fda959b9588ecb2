/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Samples in microseconds, and the table they end in: medians, and the ratio to a floor measured in the same run. */

#define SAMPLES_MAX 4096U

typedef struct Series {
        const char *name;
        uint64_t samples[SAMPLES_MAX];
        unsigned n;
} Series;

static inline void series_add(Series *s, uint64_t usec) {
        if (s->n < SAMPLES_MAX)
                s->samples[s->n++] = usec;
}

static inline int series_compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

static inline uint64_t series_median(Series *s) {
        qsort(s->samples, s->n, sizeof s->samples[0], series_compare);
        return s->n ? s->samples[s->n / 2] : 0;
}

static inline void table_head(void) {
        (void) printf("| %-52s | %10s | %10s | %10s | %8s |\n", "what", "median ms", "min ms", "max ms", "x floor");
}

/* floor_usec 0: no ratio. */
static inline void table_row(Series *s, uint64_t floor_usec) {
        uint64_t median = series_median(s);

        if (s->n == 0)
                return;
        (void) printf("| %-52s | %10.3f | %10.3f | %10.3f |", s->name, (double) median / 1000, (double) s->samples[0] / 1000,
                (double) s->samples[s->n - 1] / 1000);
        if (floor_usec > 0)
                (void) printf(" %8.2f |\n", (double) median / (double) floor_usec);
        else
                (void) printf(" %8s |\n", "");
}
