/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>
#include <systemd/sd-daemon.h>

/* One line to standard error with the journal's level prefix (sd-daemon(3)). Nothing untrusted goes in without "%s",
 * and nothing secret at all. */
#define log_error(format, ...) ((void) fprintf(stderr, SD_ERR format "\n", ##__VA_ARGS__))
#define log_warning(format, ...) ((void) fprintf(stderr, SD_WARNING format "\n", ##__VA_ARGS__))
#define log_notice(format, ...) ((void) fprintf(stderr, SD_NOTICE format "\n", ##__VA_ARGS__))
#define log_info(format, ...) ((void) fprintf(stderr, SD_INFO format "\n", ##__VA_ARGS__))
