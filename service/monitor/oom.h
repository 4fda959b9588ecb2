/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* The kernel's count of out-of-memory kills in our own control group. -1 when it cannot be read. */
int64_t oom_kill_count(void);

/* The same from the text of memory.events, for oom_kill_count() and its test. */
int64_t oom_kill_parse(const char *text);

/* A file of our control group, such as "cpu.stat"; the caller frees it. NULL when there is none. */
char *cgroup_read(const char *name);
