/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

#define OLD_STATE_RECORD_MAX (64U << 10) /* bytes of one meta.json */
#define OLD_STATE_BYTES_MAX (8U << 20)   /* of all of them, and of ips.json */
#define OLD_STATE_VMS_MAX 4096U

/* The operation "old-state": reads the state directory of the system that this one replaces, below one of the roots. */
int old_state_run(struct job *job, json_t **ret_done, struct failure *f);
