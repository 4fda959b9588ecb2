/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a VM has used of the host, as far as its monitor can see. */

struct usage {
        bool has_cpu, has_memory;
        uint64_t cpu;    /* microseconds, of the unit's control group; of QEMU where the group does not tell */
        uint64_t memory; /* bytes of QEMU that are in the host's memory */
};

/* From /proc and the control group; does not wait. */
void usage_read(pid_t pid, struct usage *ret);

/* "usage_usec N" in cpu.stat; utime and stime of /proc/PID/stat, in ticks; the second number of statm, in pages. False
 * when the text is another. */
bool usage_parse_cpu_stat(const char *text, uint64_t *ret);
bool usage_parse_stat(const char *text, uint64_t *ret_ticks);
bool usage_parse_statm(const char *text, uint64_t *ret_pages);

/* Sums QMP's query-blockstats: bytes that the guest has read and written. */
void usage_sum_blocks(const json_t *devices, uint64_t *ret_read, uint64_t *ret_written);
