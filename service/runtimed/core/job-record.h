/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/job.h"

/* Jobs outlive the daemon: a file each, from their beginning to the end of their grace time. */

/* Writes what the job is now; not durably, for after a crash of the host nobody waits for it any more. */
void job_record_save(Job *j);
void job_record_remove(Job *j);

/* Makes the jobs of former daemons again. Those that had ended keep result and rest of grace time; the others are running
 * until jobs_interrupted(), which fails them: called once there is somebody who can hear it. */
void jobs_load(Runtime *rt);
void jobs_interrupted(Runtime *rt);
