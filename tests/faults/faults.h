/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What fault-preload.so, loaded into a program under test, and its test share: a file that both map. The library counts the program's
 * calls of one kind and lets one fail; and it shifts the clock. */
enum fault_call {
        FAULT_NONE,
        FAULT_OPEN,
        FAULT_CREATE, /* open with O_CREAT or O_TMPFILE, mkdir */
        FAULT_READ,   /* read, pread */
        FAULT_WRITE,  /* write, pwrite, writev, sendfile, ftruncate */
        FAULT_FSYNC,
        FAULT_RENAME,
        FAULT_UNLINK,
        FAULT_DESCRIPTOR, /* memfd, socket pair, accept: wherever */
        FAULT_ANY_DESCRIPTOR, /* those, and all else that makes one (open, socket, pipe, dup, epoll, a timer, a pidfd): wherever */
        FAULT_NETLINK, /* a message to rtnetlink or from it: wherever. libnftables does not survive that of nfnetlink */
        FAULT_TUNNEL,  /* TUNSETIFF: wherever */
};

struct faults {
        volatile int call;      /* enum fault_call */
        volatile int error;     /* the errno it gets */
        volatile int countdown; /* the call that fails is the one that makes it 0 */
        volatile int
                forever; /* and so do all after it; of FAULT_CREATE, FAULT_WRITE and FAULT_FSYNC those of the two others, too */
        volatile int fired;
        volatile int64_t realtime_offset; /* seconds */
        char prefix[4000];                /* of the paths of the files whose calls count; a memfd's is "/memfd:NAME" */
};

#define FAULTS_ENVIRONMENT "MCP_TEST_FAULTS"

/* For tests. Makes the file at path, shared with the programs that are started with faults_load() in their environment. */
struct faults *faults_new(const char *path, const char *prefix);
void faults_free(struct faults *faults);

/* For a child before exec, or a test around its fork: loads the library into what is executed from now on, which then fails with
 * status FAULTS_REPORT where a sanitizer finds something; and takes it back. */
#define FAULTS_REPORT 66
void faults_load(const char *library, const char *path);
void faults_unload(void);

/* Other files than those below the prefix of faults_new(). */
void faults_below(struct faults *faults, const char *prefix);

/* The count-th call from now on fails with error. */
void faults_arm(struct faults *faults, enum fault_call call, int error, int count, bool forever);
void faults_disarm(struct faults *faults);
