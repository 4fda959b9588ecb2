/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/image-limits.h"

/* The name of an archive entry, made a clean path of the tree. A leading slash is dropped, as unpackers do; ".." is
 * refused. *ret is for g_free(). -EINVAL UnsupportedImage, -E2BIG LimitExceeded, both naming the entry. what: "entry",
 * "hard link target", ... */
int entry_name_clean(const char *name, const struct limits *limits, const char *what, char **ret, struct failure *f);
