/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "model/spec.h"

/* What a guest mounts beside its root: paths of the host, paths of the guest, and how the one finds the other. */

/* "HOST:GUEST", "PATH" for the same on both sides; each may end in ":ro" or ":rw". */
typedef struct HostMount {
        char *host, *guest;
        bool read_write; /* it was asked for */
} HostMount;

/* -EINVAL where it is not of that form or a path is not plain. */
int host_mount_parse(const char *text, HostMount *ret);
void host_mount_clear(HostMount *m);
#define HOST_MOUNT_ACCEPTED                                                                                            \
        "HOST:GUEST, or PATH for the same on both sides; absolute paths of at most 1024 bytes without '..', ':' and "  \
        "control characters"

/* The same for a directory alone, which may have ':' and be written with more slashes than it needs. */
bool host_directory_is_valid(const char *path);
#define HOST_DIRECTORY_ACCEPTED                                                                                        \
        "an absolute path of a directory of the host, of at most 1024 bytes, without '.', '..' and control characters"

/* Absolute, no "..", no control characters, shorter than PATH_MAX. */
bool host_path_is_plain(const char *path);

/* Below one of the roots by its letters (NULL-terminated); nothing is looked up. */
bool host_path_is_below(const char *path, const char *const *roots);

/* Plain, of at most GUEST_PATH_MAX bytes, in its shortest form; not the root, and not in what init mounts itself. */
#define GUEST_PATH_MAX 1024U
bool guest_path_is_valid(const char *path);
#define GUEST_PATH_ACCEPTED                                                                                            \
        "an absolute path of the guest of at most 1024 bytes, without ':' and empty, '.' and '..' parts, outside of "  \
        "/proc, /sys, /dev and /run/credentials"

/* The paths of the host that a spec names, for who is asked whether it may; NULL: none. The caller's. */
char *spec_host_paths(const VMSpec *spec);

typedef struct SpecMount {
        const char *kind; /* "volume": in a SquashFS; "disk"; "share" */
        char *tag;        /* how the guest finds it, see guest-wire.h */
        const char *path; /* borrowed of the spec, or in */
        char *own;        /* here */
} SpecMount;

/* All of a spec, those above before those below. GPtrArray of SpecMount, with free function. */
GPtrArray *spec_mounts(const VMSpec *spec);
