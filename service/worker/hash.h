/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* The digest of a finished image, taken by a process that had no part in writing it. */
int hash_run(struct job *job, json_t **ret_done, struct failure *f);
