/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/runtime.h"
#include "store/kernel.h"

/* The base initrd of a kernel, made once by a worker and kept in the cache; who asks while it is made waits for the
 * same. */

/* done when store_cache_open(kernel->cache_key) works, or with a problem. Called from the event loop or at once.
 * *ret is NULL when it was called at once. */
void initrd_ensure(Runtime *rt, const Kernel *kernel, WaiterDone done, void *userdata, Waiter **ret);

/* Ends the builds that nobody waits for any more. */
void initrd_drop_unwanted(Runtime *rt);

/* Destroy function of Runtime.initrds. */
void initrd_build_free(void *build);
