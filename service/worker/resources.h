/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* Sets the limits of the launch message on this process, "memory" (bytes) and "cpu" (seconds), before it reads a foreign
 * byte. Whoever reaches one tells the daemon which, and ends. */
int resources_limit(struct job *job, struct failure *f);
