/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one opener of paths that somebody else named. The path is walked part by part and no symbolic link is followed,
 * so it cannot leave its root. Not openat2(): RestrictSUIDSGID=, which DynamicUser= implies, makes systemd's seccomp
 * filter answer ENOSYS to it (systemd 252, seccomp-util.c), because a filter cannot see its mode argument.
 */

/* Opens PATH below the directory dir_fd (which may be O_PATH). flags as open(2), O_CLOEXEC and O_NOFOLLOW are added.
 * "..", an absolute or an empty path: -EXDEV; a symbolic link: -ENOTDIR on the way, -ELOOP at the end; other negative
 * errno as openat(2). */
int confined_openat(int dir_fd, const char *path, int flags);

/* The same for PATH, absolute and below ROOT, itself an absolute directory. -EXDEV when it is not below ROOT. */
int confined_open(const char *root, const char *path, int flags);
