/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Descriptors that systemd keeps for the daemon (sd_pid_notify_with_fds(3), FDSTORE=1): they come back after a crash or
 * a restart of the daemon, and are gone when its unit is stopped or the host is. So this is the place for secrets, in
 * sealed memfds. Each has a name of its own, "KIND-ID" of at most 200 letters, digits and dashes.
 */

typedef struct FdStore FdStore;

/* FileDescriptorStoreMax= of the unit. */
#define FD_STORE_MAX 4096U

/* Takes what systemd passed at the start. *ret_socket is the listening socket among it, or -1. */
FdStore *fd_store_new(int *ret_socket);
FdStore *fd_store_free(FdStore *s);

/* Keeps fd (borrowed) under name, in place of what had that name. -EDQUOT above FD_STORE_MAX, negative errno. */
int fd_store_put(FdStore *s, const char *name, int fd);

/* What systemd kept under name: the descriptor, now the caller's; it also stays with systemd. -ENOENT. */
int fd_store_take(FdStore *s, const char *name);

/* The same for the next one whose name begins with prefix; the caller frees *ret_name. */
int fd_store_take_any(FdStore *s, const char *prefix, char **ret_name);

/* Forgets the name. */
void fd_store_drop(FdStore *s, const char *name);

/* Forgets what nobody took: its owner is gone. */
void fd_store_drop_unclaimed(FdStore *s);
