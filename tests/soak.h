/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

/* Whether the long counts are wanted: tests/run --soak. */
static inline bool is_soak(void) {
        const char *soak = getenv("MCP_SOAK");

        return soak && *soak;
}
