/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "worker/failure.h"

/* What `ops build` reads: the configuration of one Nanos image. Pure. */
struct ops_config {
        char **args;         /* argv from 1 on */
        char **environment;  /* KEY=VALUE, later ones win */
        char **directories;  /* names in the staging root */
        const char *address; /* "10.99.0.2/24", NULL: by DHCP */
        const char *gateway; /* with address */
        uint64_t bytes;      /* of the program and the directories */
};

/* Room for what the guest writes, beside the content. Without it the first write is ENOSPC. */
#define OPS_SPACE_MIB 64U

/* The configuration as JSON, a new reference. `old`: only the keys that ops up to 0.1.32 knows, for it refuses others.
 * An address that ops would drop silently is InvalidSpec. */
int ops_config_build(const struct ops_config *c, bool old, json_t **ret, struct failure *f);
