/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Opens PATH, absolute and below ROOT (itself an absolute directory), without leaving ROOT on the way: openat2() with
 * RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS. flags as open(2), O_CLOEXEC is added. -EXDEV when PATH is not below ROOT
 * or a link leads out of it; other negative errno as openat2(2). */
int confined_open(const char *root, const char *path, int flags);
