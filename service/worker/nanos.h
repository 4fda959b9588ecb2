/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* The operation "nanos": a root image's program becomes the disk of a Nanos guest, through `ops`. */
int nanos_run(struct job *job, json_t **ret_done, struct failure *f);

/* "nanos-pack": a disk becomes an artifact, in an OCI archive. "nanos-unpack": the way back. */
int nanos_pack_run(struct job *job, json_t **ret_done, struct failure *f);
int nanos_unpack_run(struct job *job, json_t **ret_done, struct failure *f);
