/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/bus.h"
#include "core/vm.h"

/* A console log flowing into a pipe: what is there, and with follow what comes, until the VM's boot ends, the reader
 * closes, or the VM goes. The reader sets the pace; the daemon never waits. */

typedef struct LogStream LogStream;

typedef struct LogStreamOptions {
        uint32_t boot;  /* 0: all */
        uint64_t tail;  /* last lines; UINT64_MAX: all */
        uint64_t since; /* usec since the epoch; 0: all */
        bool follow, timestamps;
} LogStreamOptions;

/* Returns the reading end, the caller's. -EDQUOT beyond LogFollowersPerUser=, for who is not root. */
int log_stream_new(Bus *b, VM *vm, uint32_t uid, const LogStreamOptions *options);

/* The VM goes, and its log with it: its streams end when their readers have what is in it. */
void log_streams_end(Bus *b, const VM *vm);
void log_streams_free(Bus *b);
