/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Carries bytes between a stream socket and standard input and output, until one of them ends; neither direction waits
 * for the other. 0, or a negative errno. */
int fd_carry(int fd);
