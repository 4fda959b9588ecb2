/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* modules.dep and modules.builtin of a kernel: which files a wanted module needs, in the order they load. Pure. */

typedef struct modules_dep modules_dep;

/* Texts of the two files; borrowed no longer than the call. -EBADMSG for a modules.dep that is none. */
int modules_dep_new(const char *dep, const char *builtin, modules_dep **ret);
void modules_dep_free(modules_dep *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(modules_dep, modules_dep_free)

/* Appends the paths (below the modules directory, g_free()) that are not in paths yet: what the module needs first,
 * then itself. 1; 0 when it is built into the kernel; -ENOENT unknown; -ELOOP when it needs itself. A name is a
 * module's, with '-' and '_' the same. */
int modules_dep_resolve(const modules_dep *m, const char *name, GPtrArray *paths);

/* "kernel/fs/squashfs/squashfs.ko.xz" -> "squashfs"; g_free(). */
char *modules_dep_name(const char *path);
