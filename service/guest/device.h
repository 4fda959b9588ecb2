/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Devices by what sysfs says of them. */

#define DEVICE_NAME_MAX 64U

/* Finds the entry of directory whose name begins with prefix and whose file attribute holds value (trailing newlines do
 * not count). ret has room for DEVICE_NAME_MAX bytes. -ENOENT when there is none, or no such directory. */
int device_find(const char *directory, const char *prefix, const char *attribute, const char *value, char *ret);

/* Looks again until it is there, -ENOENT after so many microseconds. */
int device_wait(
        const char *directory, const char *prefix, const char *attribute, const char *value, uint64_t usec, char *ret);

/* Opens a device that may come late: ENOENT, ENODEV and ENXIO mean "not yet". Returns the descriptor. */
int device_open_wait(const char *path, int flags, uint64_t usec);
