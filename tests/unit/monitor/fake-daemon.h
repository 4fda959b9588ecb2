/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The other end of a helper under test: a launch socket, the helper's process, and what it tells systemd. Every
 * function fails the running test when something is not as it must be. */
struct fake_daemon {
        char dir[64];
        int listener, notify, link,
                journal; /* the last: where the helper's standard error goes; -1: to the test's own */
        pid_t helper;
};

/* Listens at a fresh place; MCP_LAUNCH_SOCKET and NOTIFY_SOCKET point there. */
void fake_daemon_open(struct fake_daemon *d);
/* Ends the helper if it still runs. */
void fake_daemon_close(struct fake_daemon *d);

/* Starts program and takes its first hello; or starts it only. */
void fake_daemon_start(struct fake_daemon *d, const char *program);
void fake_daemon_fork(struct fake_daemon *d, const char *program);

/* The daemon dies, its socket stays (systemd holds it); fake_daemon_accept() is its next life. Returns the hello. */
void fake_daemon_drop(struct fake_daemon *d);
json_t *fake_daemon_accept(struct fake_daemon *d);

void fake_daemon_send(struct fake_daemon *d, json_t *message, const int *fds, size_t n_fds);

/* The next message, within 10 s; it must be of this type (NULL: of any). */
json_t *fake_daemon_expect(struct fake_daemon *d, const char *type);
void fake_daemon_skip(struct fake_daemon *d, const char *type);

/* Waits for the helper's end, at most 10 s; its exit status. */
int fake_daemon_wait(struct fake_daemon *d);

/* All that the helper has told systemd so far, one string. */
void fake_daemon_notified(struct fake_daemon *d, char *buf, size_t size);

/* The value of key in the message, "" when there is none. */
const char *text_of(const json_t *message, const char *key);
json_int_t number_of(const json_t *message, const char *key);
