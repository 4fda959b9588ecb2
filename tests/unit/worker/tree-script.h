/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "worker/tree.h"

/*
 * Layers as text, for tests and fuzzing. One entry a line:
 *   d PATH        directory            f PATH TAG     file, TAG a number that names its content
 *   l PATH TARGET symbolic link        h PATH TARGET  hard link
 *   w PATH        whiteout of PATH     o PATH         opaque directory
 * PATH "." is the root. A line "-" begins the layer below.
 */

/* Merges; a negative errno of the tree, *ret_culprit as tree_settle(). Both results are for g_free(). */
int tree_script_merge(struct tree *t, const char *script, char **ret_culprit);

/* "a/ a/b=1 a/l>b": what is in a settled tree, in order; files that are one inode have one tag and "*LINKS" behind it.
 */
char *tree_script_list(struct tree *t);
