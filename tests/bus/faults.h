/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* What fault-preload.so, loaded into the daemon, and a test share: a file that both map. The library counts the daemon's calls
 * on files below prefix and lets one fail; and it shifts the clock. */
enum fault_call {
        FAULT_NONE,
        FAULT_OPEN,
        FAULT_CREATE, /* open with O_CREAT, mkdir */
        FAULT_WRITE,
        FAULT_FSYNC,
        FAULT_RENAME,
        FAULT_UNLINK,
        FAULT_DESCRIPTOR, /* memfd, socket pair, accept: wherever */
};

struct faults {
        volatile int call;      /* enum fault_call */
        volatile int error;     /* the errno it gets */
        volatile int countdown; /* the call that fails is the one that makes it 0 */
        volatile int forever;   /* and so do all after it, of FAULT_CREATE, FAULT_WRITE and FAULT_FSYNC too */
        volatile int fired;
        volatile int64_t realtime_offset; /* seconds */
        char prefix[4000];
};

#define FAULTS_ENVIRONMENT "MCP_TEST_FAULTS"
