/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* What one of several users may hold of a pool, all that is free or its own parted by one more than there are users:
 * half for who is alone, a third for each of two. However many users take all they may, one more finds something: of
 * a pool of p, n of them leave p / (n + 1). others: users beside it that hold something. A user that holds nothing may
 * have 1 as long as there is 1. */
uint64_t fair_share(uint64_t free, uint64_t own, uint64_t others);

/* How much more it may take: its share without what it holds, never below 0. */
uint64_t fair_room(uint64_t free, uint64_t own, uint64_t others);
