/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* netd.conf: which bridges netd may make or join, whatever the daemon asks for. */

#define CONFIG_PATTERNS_MAX 32U
#define CONFIG_PATTERN_SIZE 32U
#define CONFIG_FILE_MAX 65536U

struct patterns {
        size_t n;
        char items[CONFIG_PATTERNS_MAX][CONFIG_PATTERN_SIZE];
};

struct config {
        struct patterns managed, allowed;
        bool broken; /* a file has a mistake: then nothing is allowed */
};

/* ManagedBridges=mcp-br*, AllowBridges= */
void config_defaults(struct config *c);

/* Adds the settings of one file's text. -EINVAL: ret_error (size bytes) says line, what is wrong and what is accepted;
 * then *c is as before. */
int config_parse(struct config *c, const char *text, char *ret_error, size_t size);

/* Reads PATH and PATH.d/ (files that end in .conf) in the order of their names, if they exist. Logs what is wrong, and
 * then allows nothing: netd goes on with what is up, and refuses what is new. Negative where they could not be read for what the host
 * lacks now (descriptors, memory): that is no mistake of theirs, and a start that is tried again. */
int config_load(struct config *c, const char *path);

bool patterns_match(const struct patterns *p, const char *name);
