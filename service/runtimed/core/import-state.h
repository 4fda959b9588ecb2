/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/job.h"

/* Takes over the VMs of the system that this service replaces, from its state directory (STATE/NAME/meta.json,
 * STATE/ips.json) below a volume root: a job of kind "import-state", whose log has a line for each of them. VMs that
 * are there already stay as they are, so it may be called again. A VM whose image is not here yet finds it at its
 * start. */
int import_state(Runtime *rt, uint32_t caller, const char *path, Job **ret, Problem **ret_problem);
