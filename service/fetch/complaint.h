/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "worker/failure.h"

/* What skopeo says, made ours: it has no exit codes that tell one failure from another. */

/* The message of a line of skopeo's log (time="..." level=... msg="..."), or the line itself; the caller frees. */
char *complaint_text(const char *line);

/* Whether the line is the one that ends it. */
bool complaint_is_fatal(const char *line);

/* Notes why skopeo failed: RegistryFailed with what the registry said, DigestMismatch, NoSpace, LimitExceeded. Returns
 * -EIO. text may be empty. */
int complaint_fail(const char *registry, const char *text, struct failure *f);
