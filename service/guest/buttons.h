/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Input devices with a power key: the ACPI power button, a keyboard. */

#define BUTTONS_MAX 8U

struct buttons {
        int fds[BUTTONS_MAX];
        size_t n;
};

/* Opens those that are there; none is fine. */
void buttons_open(struct buttons *ret);

/* Reads what came on fds[i]; true when a power key went down. */
bool buttons_pressed(struct buttons *buttons, size_t i);
