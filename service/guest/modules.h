/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Loads the kernel modules that the list names, one path a line, in its order. What is already there is fine; what
 * fails is reported and passed over, because a device that is missed says so itself. */
void modules_load(const char *list);
