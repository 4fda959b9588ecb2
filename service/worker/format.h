/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* Makes an empty ext4 of the file "disk", by the program "mkfs". */
int format_run(struct job *job, json_t **ret_done, struct failure *f);
