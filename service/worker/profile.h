/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* The jobs about profiles, see shared/launch-wire.h. */
int profile_ingest_run(struct job *job, json_t **ret_done, struct failure *f);
int profile_pack_run(struct job *job, json_t **ret_done, struct failure *f);
int profile_unpack_run(struct job *job, json_t **ret_done, struct failure *f);
int profile_scan_run(struct job *job, json_t **ret_done, struct failure *f);
int profile_check_run(struct job *job, json_t **ret_done, struct failure *f);
int qemu_version_run(struct job *job, json_t **ret_done, struct failure *f);
