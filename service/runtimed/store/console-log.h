/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "shared/log-line.h"
#include "store/store.h"

/* Reads a VM's console log while its monitor writes it (shared/log-line.h). The segments are the VM's to write, so
 * nothing in them is trusted: what is no line is skipped, and no call reads more than a few blocks. */
typedef struct ConsoleLog ConsoleLog;

typedef enum LogKey {
        LOG_BY_SEQ,
        LOG_BY_BOOT,
        LOG_BY_TIME,
} LogKey;

/* A log that does not exist yet is empty. Stands at its beginning. */
int console_log_open(Store *s, const char *vm, ConsoleLog **ret);
/* A VM's first boot makes the log: opens what is there by now. */
void console_log_look_again(ConsoleLog *l);
ConsoleLog *console_log_free(ConsoleLog *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConsoleLog, console_log_free)

/* Stands before the first line whose key is at least value. */
void console_log_seek(ConsoleLog *l, LogKey key, uint64_t value);

/* Stands before the last n lines whose boot is at most boot. */
void console_log_seek_tail(ConsoleLog *l, uint32_t boot, uint64_t n);

/* The next line, borrowed until the next call. False at the end; later calls see what was written since. */
bool console_log_next(ConsoleLog *l, struct log_line *ret);
