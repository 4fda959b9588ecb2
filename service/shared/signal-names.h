/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The number of a signal for a guest's program, from "TERM", "SIGTERM", "RTMIN+3" or "RTMAX-1" in any case; -EINVAL when
 * there is none of that name. Linux's generic numbers (x86, arm, riscv). */
int signal_from_name(const char *name);

/* All names signal_from_name() takes, for an error message. */
extern const char signal_names[];

/* "SEGV" for 11; NULL for what has no name. */
const char *signal_to_name(int number);
