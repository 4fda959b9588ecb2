/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The words of guest init on the kernel's console. */

/* Opens /dev/console; nothing that is said before is seen. */
void console_open(void);

/* One line. */
void console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Waits, for a short time only, until the line of the terminal fd is out. */
void console_drain(int fd);

/* The same for the console. */
void console_drain_own(void);
