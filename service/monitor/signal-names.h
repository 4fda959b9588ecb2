/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The number of a signal for the guest's program, from "TERM" or "SIGTERM" or "RTMIN+3" in any case; -EINVAL when
 * there is none of that name. Numbers as on x86 and arm. */
int signal_from_name(const char *name);

/* All names signal_from_name() takes, for an error message. */
extern const char signal_names[];

/* "SEGV" for 11; NULL for what has no name. */
const char *signal_to_name(int number);
