/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* leases: addresses given out by a pool, 250 of a /24 and 10,000 of a /16; the time of one must not grow with their number.
 * TAP output. */
#include <time.h>

#include "model/subnet.h"
#include "table.h"

#define ROUNDS 101U
#define BLOCKS 10U
/* What a median of a tenth may be above the first tenth's: cold caches, not a search. */
#define GROWTH_MAX 4.0
/* In a pool that is all but full the next free address is far for some; still nothing beside a write to the disk. */
#define FULL_MAX_USEC 20.0

typedef struct Case {
        const char *subnet;
        unsigned leases;
        double usec[BLOCKS]; /* of one lease, by tenths of them */
} Case;

static uint64_t now_nsec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000000U + (uint64_t) t.tv_nsec;
}

static int fill(Case *c, char **names, Series blocks[static BLOCKS]) {
        Subnet subnet;
        LeasePool *pool;
        int r = subnet_parse(c->subnet, &subnet);

        pool = lease_pool_new(subnet, subnet.network + 1);
        for (unsigned b = 0; b < BLOCKS && r >= 0; b++) {
                uint64_t since = now_nsec();

                for (unsigned i = b * c->leases / BLOCKS; i < (b + 1) * c->leases / BLOCKS && r >= 0; i++) {
                        uint32_t address;

                        r = lease_pool_take_for(pool, names[i], &address);
                }
                series_add(&blocks[b], now_nsec() - since);
        }
        if (r >= 0 && lease_pool_count(pool) != c->leases)
                r = -1;
        lease_pool_free(pool);
        return r;
}

static int measure(Case *c) {
        g_auto(GStrv) names = g_new0(char *, c->leases + 1);
        Series *blocks = g_new0(Series, BLOCKS);
        int r = 0;

        for (unsigned i = 0; i < c->leases; i++)
                names[i] = g_strdup_printf("web-%u", i);
        for (unsigned i = 0; i < ROUNDS && r >= 0; i++)
                r = fill(c, names, blocks);
        for (unsigned b = 0; b < BLOCKS; b++)
                c->usec[b] = (double) series_median(&blocks[b]) / 1000 * BLOCKS / c->leases;
        g_free(blocks);
        return r;
}

static void show(const Case *c) {
        (void) printf("| %6u of %-16s |", c->leases, c->subnet);
        for (unsigned b = 0; b < BLOCKS; b++)
                (void) printf(" %6.3f", c->usec[b]);
        (void) printf(" |\n");
}

static bool tell(bool good, unsigned number, const char *text) {
        (void) printf("%s %u - %s\n", good ? "ok" : "not ok", number, text);
        return good;
}

int main(void) {
        Case small = {.subnet = "10.1.0.0/24", .leases = 250}, large = {.subnet = "10.2.0.0/16", .leases = 10000};
        double worst = 0;
        bool good;

        if (measure(&small) < 0 || measure(&large) < 0) {
                (void) printf("not ok 1 - every lease is given\n1..1\n");
                return EXIT_FAILURE;
        }
        (void) printf("# microseconds of one lease, by tenths of them (medians of %u pools)\n", ROUNDS);
        show(&small);
        show(&large);
        for (unsigned b = 1; b < BLOCKS; b++)
                worst = MAX(worst, large.usec[b]);
        good = tell(worst <= large.usec[0] * GROWTH_MAX, 1, "10,000 of a /16: no tenth is slower than the first");
        good = tell(small.usec[BLOCKS / 2] <= small.usec[0] * GROWTH_MAX, 2, "a /24 half full: as fast as an empty one") &&
                good;
        good = tell(small.usec[BLOCKS - 1] <= FULL_MAX_USEC, 3, "the last of 250 of a /24: microseconds") && good;
        (void) printf("1..3\n");
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
