/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* `run [-c NAME=FILE]... [-a GUEST=TAR]... VM IMAGE [COMMAND...]`. Returns the exit status; 2 for a wrong command line, which is not
 * told. */
int fd_run(sd_bus *bus, int argc, char *argv[]);
