/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/archive-util.h"
#include "worker/image-limits.h"
#include "worker/job.h"
#include "worker/profile-manifest.h"

/* What every way of a profile into the store goes through, whether a tar was handed in or is a layer of an artifact. */

/* Reads an archive that was opened, each file of it into a descriptor of the daemon's, and tells their hashes. The
 * manifest is the caller's: its entries are there, sorted, and it was checked. expected: bytes of the files, for the
 * progress; 0: not known. */
int profile_ingest_archive(struct job *job, archive_reader *archive, const struct limits *limits, uint64_t expected,
        profile_manifest **ret, struct failure *f);

/* A manifest's text goes to the descriptor "output"; *ret_done tells of it. */
int profile_ingest_manifest(
        struct job *job, const profile_manifest *m, const char *text, size_t len, json_t **ret_done, struct failure *f);

/* Both, with a manifest that is made here: who, when, and of what is in the launch message. */
int profile_ingest_made(struct job *job, profile_manifest *m, json_t **ret_done, struct failure *f);
