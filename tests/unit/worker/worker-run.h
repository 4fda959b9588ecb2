/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Runs the real worker on one job, in the daemon's place. */

struct outcome {
        json_t *last; /* the done or failed message, NULL when there was none */
        int status;   /* of waitpid() */
        unsigned n_progress, n_log;
        char digest[80]; /* that the worker told before it unpacked anything, "" without */
        long peak_kib;
        int output; /* of import_bytes() and friends */
};

/* launch's reference is taken; names end with NULL, fds are borrowed. max_file: RLIMIT_FSIZE or 0. */
struct outcome worker_run(json_t *launch, const char *const *names, const int *fds, rlim_t max_file);

/* The same for a worker that asks: m is what it said beside progress, log and end. */
typedef void (*WorkerAsks)(int sock, const json_t *m, void *userdata);
struct outcome worker_run_asking(
        json_t *launch, const char *const *names, const int *fds, WorkerAsks asks, void *userdata);

/* An import of bytes in a memfd into a new memfd; limits may be NULL. */
struct outcome import_bytes(const GByteArray *source, json_t *limits);
struct outcome import_fd(int source, json_t *more);
void outcome_clear(struct outcome *o);

int bytes_memfd(const GByteArray *data);

/* What is wrong in one turn of a walk; all are seen before the test fails. */
extern unsigned complaints;
#define complain(format, ...) (print_error(format "\n", ##__VA_ARGS__), (void) complaints++)
void assert_no_complaints(void);

#define assert_done(o)                                                                                                 \
        do {                                                                                                           \
                assert_int_equal((o)->status, 0);                                                                      \
                assert_non_null((o)->last);                                                                            \
                if (!g_str_equal(text_of(o, "type"), "done"))                                                          \
                        fail_msg("%s: %s", text_of(o, "error"), text_of(o, "message"));                                \
        } while (0)

#define assert_failed(o, name, text)                                                                                   \
        do {                                                                                                           \
                assert_int_equal((o)->status, 0);                                                                      \
                assert_non_null((o)->last);                                                                            \
                assert_string_equal(text_of(o, "type"), "failed");                                                     \
                if (!g_str_equal(text_of(o, "error"), name) || !strstr(text_of(o, "message"), text))                   \
                        fail_msg("%s: %s", text_of(o, "error"), text_of(o, "message"));                                \
        } while (0)

#define text_of(o, key) json_string_value(json_object_get((o)->last, key))
