/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "monitor/qemu.h"
#include "monitor/seglog.h"
#include "monitor/viewers.h"

/* Pumps the guest's two consoles and QEMU's own output into the log, with the monitor's words between them. */
struct console;

#define CONSOLE_PARTIAL_USEC (200U * 1000U) /* how long a line may stay without its end */

/* log is taken in any case. Without guest init the serial port is the program's console, and there is no other. */
int console_new(sd_event *event, struct seglog *log, bool guest_init, struct console **ret);

/* Flushes and frees. Takes NULL, returns NULL. */
struct console *console_free(struct console *console);

/* Begins to read; serial, console and output of channels are taken, also on failure. */
int console_attach(struct console *console, struct qemu_channels *channels);

/* Lets somebody look at the program's console, and type: see viewers_add(). */
int console_view(struct console *console, int fd, bool write);

/* Shows what the guest prints as it comes, before it is cut into lines; stream as in log-line.h. */
typedef void (*console_watch_t)(void *userdata, char stream, const char *data, size_t len);
void console_set_watch(struct console *console, console_watch_t watch, void *userdata);

/* A line of the monitor's own. */
__attribute__((format(printf, 2, 3))) void console_say(struct console *console, const char *format, ...);

/* Reads what is left after QEMU's end, gives out unfinished lines, writes all to the log. */
void console_drain(struct console *console);

/* Whether a guest without guest init said that it could not start its program: reads what is left, and puts the line
 * into buf, cleaned as text_clean() does. */
bool console_startup_failure(struct console *console, char *buf);

/* The last line QEMU itself or the guest printed (of a guest that panicked: why), cleaned as text_clean() does, into
 * buf. Empty when there is none. */
char *console_last_words(const struct console *console, char *buf);
char *console_last_guest_words(const struct console *console, char *buf);
