/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The test's end of the fault library. */
#include "faults.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct faults *faults_new(const char *path, const char *prefix) {
        struct faults *f = MAP_FAILED;
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd >= 0 && ftruncate(fd, sizeof *f) == 0)
                f = mmap(NULL, sizeof *f, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd >= 0)
                (void) close(fd);
        if (f == MAP_FAILED) {
                perror(path);
                abort();
        }
        faults_below(f, prefix);
        return f;
}

void faults_below(struct faults *f, const char *prefix) {
        if (strlen(prefix) >= sizeof f->prefix)
                abort();
        strcpy(f->prefix, prefix);
}

void faults_free(struct faults *f) {
        (void) munmap(f, sizeof *f);
}

/* The library is the first of all, before the sanitizer's. */
static void add_option(const char *variable, const char *option) {
        const char *old = getenv(variable);
        char text[1024];

        if (old && strstr(old, option))
                return;
        (void) snprintf(text, sizeof text, "%s:%s", old ? old : "", option);
        (void) setenv(variable, text, 1);
}

void faults_load(const char *library, const char *path) {
        char status[32];

        (void) snprintf(status, sizeof status, "exitcode=%d", FAULTS_REPORT);
        (void) setenv("LD_PRELOAD", library, 1);
        (void) setenv(FAULTS_ENVIRONMENT, path, 1);
        add_option("ASAN_OPTIONS", "verify_asan_link_order=0");
        add_option("ASAN_OPTIONS", status);
        add_option("LSAN_OPTIONS", status);
        add_option("UBSAN_OPTIONS", status);
        add_option("UBSAN_OPTIONS", "halt_on_error=1");
}

void faults_unload(void) {
        (void) unsetenv("LD_PRELOAD");
        (void) unsetenv(FAULTS_ENVIRONMENT);
}

void faults_arm(struct faults *f, enum fault_call call, int error, int count, bool forever) {
        f->fired = 0;
        f->error = error;
        f->countdown = count;
        f->forever = forever;
        f->call = call;
}

void faults_disarm(struct faults *f) {
        f->call = FAULT_NONE;
        f->forever = 0;
}
