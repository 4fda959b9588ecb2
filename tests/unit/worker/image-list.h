/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads a SquashFS image back with libsquashfs: one line for every name, "PATH MODE UID:GID LINKS MTIME WHAT", where
 * WHAT is "=CONTENT" of a file up to 40 bytes, "SIZE bytes", ">TARGET" or "MAJOR:MINOR", and then " NAME=VALUE" of each
 * extended attribute. For g_free(); fails the test for what it cannot read. */
char *image_list(int fd);
