/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/runtime.h"

/* Removal of what nothing refers to: images that no VM names, and initrds that no VM would boot with. */

typedef struct Clean Clean;
typedef void (*CleanDone)(uint64_t bytes, uint32_t count, void *userdata);

/* Of one owner, or with all of everybody; only_unnamed leaves images that have a name. One file a turn of the loop,
 * done at the end. What comes in use meanwhile stays. */
void clean_images(Runtime *rt, uint32_t owner, bool all, bool only_unnamed, CleanDone done, void *userdata);

/* For runtime_free(): ends those under way; done is not called. */
void cleans_free(Runtime *rt);
